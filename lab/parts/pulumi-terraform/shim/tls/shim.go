// Package shim lies under the provider's own path, as only packages there may import its internal one.
package shim

import (
	"github.com/hashicorp/terraform-plugin-framework/provider"
	internal "github.com/hashicorp/terraform-provider-tls/internal/provider"
)

func New() provider.Provider { return internal.New() }
