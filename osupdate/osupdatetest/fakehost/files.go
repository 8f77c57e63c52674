package fakehost

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// writeFiles writes the boot loader's entries, the links that they follow, the
// origins and the staged deployment.
func (h *Host) writeFiles() error {
	if h.Deployments[0].Own {
		return h.writeOwn()
	}
	anew := h.Linked != h.Writes
	h.Linked = h.Writes
	for _, dir := range []string{"boot/loader/entries", "ostree/boot.1"} {
		if !anew && strings.HasPrefix(dir, "ostree") {
			continue
		}
		if err := os.RemoveAll(filepath.Join(h.root, dir)); err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Join(h.root, dir), 0o755); err != nil {
			return err
		}
	}
	files := map[string]string{}
	var written []Deployment
	for _, d := range h.Deployments {
		dir := fmt.Sprintf("ostree/deploy/%s/deploy/%s.%d", d.Root, d.Checksum(), d.Serial)
		if err := os.MkdirAll(filepath.Join(h.root, dir), 0o755); err != nil {
			return err
		}
		key := "refspec"
		if strings.HasPrefix(d.Follows, "ostree-") {
			key = "container-image-reference"
		}
		files[dir+".origin"] = "[origin]\n" + key + "=" + d.Follows + "\n"
		if len(d.Layered) > 0 {
			files[dir+".origin"] += "\n[packages]\nrequested=" + strings.Join(d.Layered, ";") + ";\n"
		}
		if !d.Staged {
			written = append(written, d)
		}
	}
	if err := h.writeEntries(written, files, anew); err != nil {
		return err
	}
	files["proc/sys/kernel/random/boot_id"] = fmt.Sprintf("boot-%d\n", h.Boots)
	if err := h.writeStaged(); err != nil {
		return err
	}
	for name, text := range files {
		path := filepath.Join(h.root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	if sysroot := filepath.Join(h.root, "sysroot"); !exists(sysroot) {
		return os.Symlink(".", sysroot)
	}
	return nil
}

// writeOwn writes what tells that the root is bootc's own storage, and the boot.
func (h *Host) writeOwn() error {
	for name, text := range map[string]string{
		"proc/cmdline": "root=UUID=1 rw composefs=" + h.Running().Checksum() + "\n", "proc/self/mountinfo": "1 1 0:1 / / rw - overlay composefs:" + h.Running().Checksum() + " rw\n",
		"proc/sys/kernel/random/boot_id": fmt.Sprintf("boot-%d\n", h.Boots),
	} {
		path := filepath.Join(h.root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// writeEntries adds the boot loader's entries to files, and makes their links anew.
func (h *Host) writeEntries(written []Deployment, files map[string]string, anew bool) error {
	for i, d := range written {
		link := fmt.Sprintf("ostree/boot.1/%s/%064d/%d", d.Root, 0, i)
		path := filepath.Join(h.root, link)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if !anew {
			// as it was
		} else if err := os.Symlink(fmt.Sprintf("../../../../ostree/deploy/%s/deploy/%s.%d", d.Root, d.Checksum(), d.Serial), path); err != nil {
			return err
		}
		files[fmt.Sprintf("boot/loader/entries/ostree-%d.conf", len(written)-i)] = fmt.Sprintf("title test %s (ostree:%d)\nversion %d\noptions %s ostree=/%s\n",
			d.Version, i, len(written)-i, strings.Join(d.Kargs, " "), link)
		if d.ID() == h.Booted {
			files["proc/cmdline"] = strings.Join(d.Kargs, " ") + " ostree=/" + link + "\n"
			files["proc/self/mountinfo"] = fmt.Sprintf("1 1 0:1 /ostree/deploy/%s/deploy/%s.%d / rw - ext4 /dev/vda rw\n", d.Root, d.Checksum(), d.Serial)
		}
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// writeStaged writes /run/ostree/staged-deployment as GLib does.
func (h *Host) writeStaged() error {
	path := filepath.Join(h.root, "run/ostree/staged-deployment")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	soft := filepath.Join(h.root, "run/ostree/nextroot-booted")
	if h.Soft {
		if err := os.WriteFile(soft, nil, 0o644); err != nil {
			return err
		}
	} else if err := os.Remove(soft); err != nil && !os.IsNotExist(err) {
		return err
	}
	for _, d := range h.Deployments {
		if d.Staged {
			locked := []byte{0}
			if d.Locked {
				locked[0] = 1
			}
			return os.WriteFile(path, Dictionary([]Member{{"kargs", "as", Strings(d.Kargs)}, {"locked", "b", locked}}), 0o644)
		}
	}
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return err
	}
	return nil
}

// Member is a member of a dictionary of GVariant.
type Member struct {
	Key, Type string
	Data      []byte
}

// Dictionary serialises an a{sv}.
func Dictionary(members []Member) []byte {
	var body []byte
	var ends []int
	for _, m := range members {
		body = pad(body)
		entry := append([]byte(m.Key), 0)
		keyEnd := len(entry)
		entry = append(append(append(pad(entry), m.Data...), 0), m.Type...)
		body = append(body, framed(entry, []int{keyEnd})...)
		ends = append(ends, len(body))
	}
	return framed(body, ends)
}

// Strings serialises an "as".
func Strings(list []string) []byte {
	var body []byte
	var ends []int
	for _, s := range list {
		body = append(append(body, s...), 0)
		ends = append(ends, len(body))
	}
	return framed(body, ends)
}

func pad(b []byte) []byte {
	for len(b)%8 != 0 {
		b = append(b, 0)
	}
	return b
}

// framed puts the offsets behind body, in the size that the whole then needs.
func framed(body []byte, ends []int) []byte {
	size := 1
	if len(body)+len(ends) > 0xff {
		size = 2
	}
	for _, end := range ends {
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], uint64(end))
		body = append(body, b[:size]...)
	}
	return body
}
