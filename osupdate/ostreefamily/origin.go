package ostreefamily

import (
	"os"
	"path/filepath"

	"github.com/tbx-project/tbx/osupdate"
)

// PartsOf takes the id of a deployment apart: "<stateroot>-<checksum>.<serial>".
func PartsOf(id string) (stateroot, checksum string) {
	root, name, ok := cutID(id)
	if !ok {
		return "", ""
	}
	return root, name[:64]
}

// Origin reads the origin file of a deployment; nil when it cannot be read.
func Origin(sysroot string, d *osupdate.Deployment) *osupdate.Origin {
	root, name, ok := cutID(d.ID)
	if !ok {
		return nil
	}
	data, err := os.ReadFile(filepath.Join(sysroot, "ostree/deploy", root, "deploy", name+".origin"))
	if err != nil {
		return nil
	}
	o, err := osupdate.ParseOrigin(data)
	if err != nil {
		return nil
	}
	return o
}
