//go:build remote

package podman

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/containers/podman/v4/libpod/define"
	"github.com/containers/podman/v4/pkg/bindings/containers"
	"github.com/containers/podman/v4/pkg/domain/entities"
	"github.com/containers/podman/v4/pkg/specgen"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/tbx-project/tbx/toolbox"
	"github.com/tbx-project/tbx/toolbox/layers"
)

// Layer implements toolbox.Engine.
func (e *Engine) Layer(ctx context.Context, id string) (*layers.Layer, error) {
	conn, cancel := e.with(ctx)
	defer cancel()
	d, err := containers.Inspect(conn, id, nil)
	if err != nil {
		return nil, convert(err)
	}
	return layerOf(d)
}

func layerOf(d *define.InspectContainerData) (*layers.Layer, error) {
	l := &layers.Layer{Container: d.ID, Image: d.Image, Driver: d.Driver}
	if g := d.GraphDriver; g != nil {
		l.Driver, l.Upper, l.Lower = g.Name, g.Data["UpperDir"], g.Data["LowerDir"]
	}
	if d.HostConfig != nil && d.HostConfig.IDMappings != nil {
		l.UIDs, l.GIDs = d.HostConfig.IDMappings.UIDMap, d.HostConfig.IDMappings.GIDMap
	}
	if l.Driver != "vfs" {
		return l, nil
	}
	var err error
	// StaticDir is GRAPHROOT/vfs-containers/ID/userdata.
	l.Upper, err = treeOf(filepath.Dir(filepath.Dir(d.StaticDir)), d.ID)
	return l, err
}

// treeOf is where the driver vfs, which podman says nothing of, keeps the whole tree
// of a container. table is the directory of containers/storage's table of containers,
// GRAPHROOT/vfs-containers.
func treeOf(table, id string) (string, error) {
	data, err := os.ReadFile(filepath.Join(table, "containers.json"))
	if err != nil {
		return "", err
	}
	var all []struct {
		ID    string `json:"id"`
		Layer string `json:"layer"`
	}
	if err := json.Unmarshal(data, &all); err != nil {
		return "", fmt.Errorf("%s/containers.json: %w", table, err)
	}
	for _, c := range all {
		if c.ID == id {
			return filepath.Join(filepath.Dir(table), "vfs/dir", filepath.Base(c.Layer)), nil
		}
	}
	return "", fmt.Errorf("container %.12s is not in %s/containers.json", id, table)
}

// Limit implements toolbox.Engine. podman 4.3 changes the cgroup of a container that
// runs, and keeps nothing of it; 5 keeps it.
func (e *Engine) Limit(ctx context.Context, id string, p *toolbox.Plan) error {
	conn, cancel := e.with(ctx)
	defer cancel()
	none := int64(-1)
	memory, pids := p.Memory, p.Pids
	if memory == 0 {
		memory = none
	}
	if pids == 0 {
		pids = none
	}
	r := &specs.LinuxResources{
		Memory: &specs.LinuxMemory{Limit: &memory, Swap: &memory},
		Pids:   &specs.LinuxPids{Limit: pids},
		CPU:    cpus(p.CPU),
	}
	if p.CPU == 0 {
		r.CPU.Quota = &none
	}
	s := &specgen.SpecGenerator{ContainerResourceConfig: specgen.ContainerResourceConfig{ResourceLimits: r}}
	_, err := containers.Update(conn, &entities.ContainerUpdateOptions{NameOrID: id, Specgen: s})
	return convert(err)
}
