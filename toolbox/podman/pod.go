//go:build remote

package podman

import (
	"context"
	"errors"

	"github.com/containers/podman/v4/pkg/bindings/pods"
	"github.com/containers/podman/v4/pkg/domain/entities"
	"github.com/containers/podman/v4/pkg/specgen"

	"github.com/tbx-project/tbx/internal/fail"
)

// ensurePod makes a pod without any process and namespace, where there is none of that name.
func ensurePod(conn context.Context, name string) error {
	there, err := pods.Exists(conn, name, nil)
	if err != nil || there {
		return convert(err)
	}
	s := specgen.NewPodSpecGenerator()
	s.Name, s.NoInfra = name, true
	s.Labels = map[string]string{"io.tbx.what": "snapshots of toolboxes; tbx snapshot list shows them"}
	if _, err := pods.CreatePodFromSpec(conn, &entities.PodSpec{PodSpecGen: *s}); err != nil {
		if err := convert(err); !errors.Is(err, fail.Exists) { // another tbx was faster
			return fail.Wrap(nil, err, "the pod %s cannot be made", name)
		}
	}
	return nil
}
