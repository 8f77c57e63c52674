package join

import (
	"encoding/json"
	"os"
	"slices"
	"syscall"
)

// Names is the table in which containers/storage keeps every container's names
// (overlay-containers/containers.json below the graph root), with its state when
// it was last read. podman rewrites it on create, rm and rename and at no other
// time: an unchanged file is proof that a name still means the same container.
type Names struct {
	Path             string
	Inode            uint64
	Size             int64
	Mtime, MtimeNsec int64
}

// ReadNames records the state of the table at path.
func ReadNames(path string) (Names, error) {
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		return Names{}, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	return Names{Path: path, Inode: st.Ino, Size: st.Size, Mtime: st.Mtim.Sec, MtimeNsec: st.Mtim.Nsec}, nil
}

// Has reports whether some container is called name, a toolbox or not.
func (n Names) Has(name string) bool {
	data, err := os.ReadFile(n.Path)
	if err != nil {
		return false
	}
	var table []struct {
		Names []string `json:"names"`
	}
	if json.Unmarshal(data, &table) != nil {
		return false
	}
	for _, c := range table {
		if slices.Contains(c.Names, name) {
			return true
		}
	}
	return false
}

// hold reports whether the container id is still called name. changed: the table differs
// from the recorded one, although this name still holds; n is then its new state.
func (n *Names) hold(id, name string) (held, changed bool) {
	now, err := ReadNames(n.Path)
	if err != nil {
		return false, false
	}
	if now == *n {
		return true, false
	}
	data, err := os.ReadFile(n.Path)
	if err != nil {
		return false, false
	}
	var table []struct {
		ID    string   `json:"id"`
		Names []string `json:"names"`
	}
	if json.Unmarshal(data, &table) != nil {
		return false, false
	}
	for _, c := range table {
		if c.ID == id {
			*n = now
			return slices.Contains(c.Names, name), true
		}
	}
	return false, false
}
