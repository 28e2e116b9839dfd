// Package fieldpath has the types of v6, since the provider passes those of v4 to functions that take v6 with the
// Kubernetes libraries of the lab's other programs.
package fieldpath

import "sigs.k8s.io/structured-merge-diff/v6/fieldpath"

type (
	Path = fieldpath.Path
	Set  = fieldpath.Set
)

var MakePath = fieldpath.MakePath
