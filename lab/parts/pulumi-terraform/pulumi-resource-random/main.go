// The random provider, as the Python package pulumi-random expects it.
package main

import (
	"github.com/terraform-providers/terraform-provider-random/shim"

	"kyma-mtls/lab/parts/pulumi-terraform/bridge"
)

var randomVersion string

func main() {
	bridge.Serve("random", randomVersion, "Random", shim.New())
}
