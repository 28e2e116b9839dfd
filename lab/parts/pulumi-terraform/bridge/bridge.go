// Package bridge serves a Terraform provider as a Pulumi one.
package bridge

import (
	"context"
	"os"

	"github.com/hashicorp/terraform-plugin-framework/provider"
	pf "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/pf/tfbridge"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/pf/tfgen"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge/tokens"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag/colors"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
)

// Serve runs the plugin pulumi-resource-NAME: the Terraform resource NAME_thing becomes NAME:index:PREFIXThing.
// Its schema is made when somebody asks for it; resources are served without.
func Serve(name, version, prefix string, p provider.Provider) {
	ctx := context.Background()
	info := tfbridge.ProviderInfo{
		Name:         name,
		Version:      version,
		P:            pf.ShimProviderWithContext(ctx, p),
		MetadataInfo: tfbridge.NewProviderMetadata(nil),
	}
	standard := tokens.MakeStandard(name)
	info.MustComputeTokens(tokens.SingleModule(name+"_", "index", func(module, thing string) (string, error) {
		return standard(module, prefix+thing)
	}))
	schema := func(ctx context.Context, _ plugin.GetSchemaRequest) ([]byte, error) {
		sink := diag.DefaultSink(os.Stderr, os.Stderr, diag.FormatOptions{Color: colors.Never})
		made, err := tfgen.GenerateSchema(ctx, tfgen.GenerateSchemaOptions{
			ProviderInfo: info, DiagnosticsSink: sink, XInMemoryDocs: true,
		})
		if err != nil {
			return nil, err
		}
		return made.ProviderMetadata.PackageSchema, nil
	}
	pf.Main(ctx, name, info, pf.ProviderMetadata{XGetSchema: schema})
}
