// Gardener's dns-controller-manager with the one provider that needs no account: its records are kept in memory. The
// project's own main package has those of all clouds, and takes minutes to build for their sake.
package main

import (
	"github.com/gardener/controller-manager-library/pkg/controllermanager"
	"github.com/gardener/controller-manager-library/pkg/controllermanager/cluster"
	"github.com/gardener/controller-manager-library/pkg/controllermanager/controller"
	"github.com/gardener/controller-manager-library/pkg/controllermanager/controller/mappings"
	"github.com/gardener/controller-manager-library/pkg/resources"
	"github.com/gardener/controller-manager-library/pkg/utils"
	"github.com/gardener/external-dns-management/pkg/apis/dns/v1alpha1"
	_ "github.com/gardener/external-dns-management/pkg/controller/provider/compound/controller"
	_ "github.com/gardener/external-dns-management/pkg/controller/provider/local"
	"github.com/gardener/external-dns-management/pkg/dns/provider"
	"github.com/gardener/external-dns-management/pkg/dns/source"
)

func main() {
	cluster.Configure(provider.PROVIDER_CLUSTER, "providers", "cluster of the providers").
		Fallback(source.TARGET_CLUSTER).MustRegister()
	mappings.ForControllerGroup(provider.CONTROLLER_GROUP_DNS_CONTROLLERS).
		Map(controller.CLUSTER_MAIN, source.TARGET_CLUSTER).MustRegister()
	utils.Must(resources.Register(v1alpha1.SchemeBuilder))
	controllermanager.Start("dns-controller-manager", "Gardener's DNS controller", "")
}
