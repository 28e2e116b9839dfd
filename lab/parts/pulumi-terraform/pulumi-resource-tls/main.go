// The tls provider, as the Python package pulumi-tls expects it.
package main

import (
	"github.com/hashicorp/terraform-provider-tls/shim"

	"kyma-mtls/lab/parts/pulumi-terraform/bridge"
)

var tlsVersion string

func main() {
	bridge.Serve("tls", tlsVersion, "", shim.New())
}
