package osupdate

import (
	"bufio"
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// Origin is a deployment's origin file: its source, and the changes on top. The format is
// GKeyFile (glib, "Key-value file parser"); keys are those of ostree(1) and of
// rpm-ostree's origin. Unknown groups and keys are kept.
type Origin struct {
	Groups []OriginGroup `json:"groups"`
}

// OriginGroup is one [group] with its lines in order.
type OriginGroup struct {
	Name string      `json:"name"`
	Keys [][2]string `json:"keys"`
}

// ParseOrigin reads an origin file.
func ParseOrigin(data []byte) (*Origin, error) {
	o := &Origin{}
	sc := bufio.NewScanner(bytes.NewReader(data))
	sc.Buffer(nil, 1<<20)
	for n := 1; sc.Scan(); n++ {
		line := strings.TrimSpace(sc.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		if line[0] == '[' {
			if line[len(line)-1] != ']' {
				return nil, fmt.Errorf("origin: line %d: group without ]", n)
			}
			o.Groups = append(o.Groups, OriginGroup{Name: line[1 : len(line)-1]})
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok || len(o.Groups) == 0 {
			return nil, fmt.Errorf("origin: line %d: neither a group nor key=value", n)
		}
		g := &o.Groups[len(o.Groups)-1]
		g.Keys = append(g.Keys, [2]string{strings.TrimSpace(key), strings.TrimSpace(value)})
	}
	return o, sc.Err()
}

// Get returns a value; empty if it is missing. The last one counts.
func (o *Origin) Get(group, key string) (value string) {
	for _, g := range o.Groups {
		for _, kv := range g.Keys {
			if g.Name == group && kv[0] == key {
				value = kv[1]
			}
		}
	}
	return value
}

// List returns a value's elements.
func (o *Origin) List(group, key string) []string {
	return slices.DeleteFunc(strings.Split(o.Get(group, key), ";"), func(s string) bool { return s == "" })
}

// Bytes writes the origin without the named groups, for ostree's --origin-file.
func (o *Origin) Bytes(without ...string) []byte {
	var b bytes.Buffer
	for _, g := range o.Groups {
		if slices.Contains(without, g.Name) {
			continue
		}
		fmt.Fprintf(&b, "[%s]\n", g.Name)
		for _, kv := range g.Keys {
			fmt.Fprintf(&b, "%s=%s\n", kv[0], kv[1])
		}
	}
	return b.Bytes()
}

// Tracks returns what the deployment follows: an image with its transport, or a refspec;
// empty for nothing.
func (o *Origin) Tracks() string {
	for _, key := range []string{"container-image-reference", "baserefspec", "refspec"} {
		if v := o.Get("origin", key); v != "" {
			return v
		}
	}
	return ""
}

// Custom returns rpm-ostree's custom-origin: who manages the host instead of an upgrade,
// and what it follows; nil if there is none.
func (o *Origin) Custom() []string {
	if url := o.Get("origin", "custom-url"); url != "" {
		custom := []string{url}
		if text := o.Get("origin", "custom-description"); text != "" {
			custom = append(custom, text)
		}
		return custom
	}
	return nil
}

// Changed reports whether the client layered, removed or replaced anything, which makes
// bootc refuse to upgrade.
func (o *Origin) Changed() bool {
	for _, g := range o.Groups {
		switch g.Name {
		case "packages", "overrides":
			for _, kv := range g.Keys {
				if kv[1] != "" {
					return true
				}
			}
		case "rpmostree":
			if v := o.Get("rpmostree", "regenerate-initramfs"); v == "true" {
				return true
			}
		}
	}
	return false
}
