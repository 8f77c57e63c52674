package toolbox

import (
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox/integration"
)

// Change is a user's request to change settings of a toolbox. A nil pointer changes
// nothing.
type Change struct {
	Hostname *string // empty: the host's
	Home     *string // empty: the user's own

	Volumes, NoVolumes []string // SOURCE:TARGET[:OPTIONS]; a target, a source or the whole
	Env, NoEnv         []string // NAME=VALUE; NAME
	On, Off            []string // integrations; of an isolated toolbox, gpu

	Memory, CPUs *string
	Pids         *int64

	// Of an isolated toolbox.
	Share, NoShare []string
	Network        *bool
	ShmSize        *string
}

// Empty reports whether c changes nothing.
func (c *Change) Empty() bool { return reflect.ValueOf(c).Elem().IsZero() }

// of returns s with the change, checked as the options of a new toolbox are.
func (c *Change) of(m *Manager, name Name, s *Spec) (*Spec, error) {
	o := optionsOf(name, s)
	if err := integration.Check(slices.Concat(c.On, c.Off)); err != nil {
		return nil, err
	}
	setIf(&o.Hostname, c.Hostname)
	setIf(&o.CPUs, c.CPUs)
	setIf(&o.ShmSize, c.ShmSize)
	setIf(&o.Memory, c.Memory)
	setIf(&o.Pids, c.Pids)
	if c.Network != nil {
		if !s.Isolated {
			return nil, fail.New(fail.Usage, "toolbox %s is not isolated, and uses the host's network", name)
		}
		o.NoNetwork = !*c.Network
	}
	on := c.On
	if c.Home != nil {
		o.Home, on = *c.Home, append(slices.Clone(on), integration.Home)
		if home := filepath.Clean(*c.Home); home == m.Host.Home || home == m.Host.RealHome {
			o.Home = ""
		}
	}
	c.integrations(s, &o, on)
	var err error
	if o.Volumes, err = dropped(o.Volumes, c.NoVolumes, "volume", isVolume); err != nil {
		return nil, err
	}
	if o.Env, err = dropped(o.Env, c.NoEnv, "variable", isVariable); err != nil {
		return nil, err
	}
	shared := func(have, word string) bool { return isShare(m.Host, have, word) }
	if o.Share, err = dropped(o.Share, c.NoShare, "shared directory", shared); err != nil {
		return nil, err
	}
	o.Volumes = added(o.Volumes, c.Volumes, targetOf)
	o.Env = added(o.Env, c.Env, variableOf)
	o.Share = added(o.Share, c.Share, func(v string) string { return shareOf(m.Host, v) })
	return m.settings(name, s, o)
}

// integrations turns integrations on and off; for an isolated toolbox, gpu is an option.
func (c *Change) integrations(s *Spec, o *CreateOptions, on []string) {
	off := c.Off
	if s.Isolated {
		o.GPU = (o.GPU || slices.Contains(on, integration.GPU)) && !slices.Contains(off, integration.GPU)
		on, off = without(on, integration.GPU), without(off, integration.GPU)
	}
	is := map[string]bool{}
	for _, key := range s.Without {
		is[key] = true
	}
	for _, key := range off {
		is[key] = true
	}
	for _, key := range on {
		delete(is, key)
	}
	o.Without = nil
	for _, i := range integration.All() { // in a fixed order
		if is[i.Key] {
			o.Without = append(o.Without, i.Key)
		}
	}
	if slices.Equal(sortedWords(o.Without), sortedWords(s.Without)) {
		o.Without = s.Without
	}
}

// settings makes the specification that replaces old from options.
func (m *Manager) settings(name Name, old *Spec, o CreateOptions) (*Spec, error) {
	s, err := m.newSpec(o)
	if err != nil {
		return nil, err
	}
	s.Version, s.ID, s.Created, s.Image, s.ImageID, s.Adopted = old.Version, old.ID, old.Created, old.Image, old.ImageID, old.Adopted
	if o.Memory == "" {
		s.Memory = "" // the default is chosen once, when a toolbox is made
	}
	return s, nil
}

// optionsOf returns the options that make a toolbox like s.
func optionsOf(name Name, s *Spec) CreateOptions {
	return CreateOptions{
		Name: name, Hostname: s.Hostname, Home: s.Home, Volumes: s.Volumes, Env: s.Env, Without: s.Without,
		Memory: s.Memory, CPUs: s.CPUs, Pids: s.Pids, Declared: s.Declared,
		Isolated: s.Isolated, Share: s.Share, NoNetwork: s.NoNetwork, ShmSize: s.ShmSize, GPU: s.GPU,
	}
}

func setIf[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

func without(words []string, word string) []string {
	return slices.DeleteFunc(slices.Clone(words), func(w string) bool { return w == word })
}

func sortedWords(words []string) []string {
	out := slices.Clone(words)
	slices.Sort(out)
	return out
}

// dropped returns have without the entries that words match. A word that matches nothing
// is an error.
func dropped(have, words []string, what string, is func(have, word string) bool) ([]string, error) {
	for _, word := range words {
		left := slices.DeleteFunc(slices.Clone(have), func(h string) bool { return is(h, word) })
		if len(left) == len(have) {
			err := fail.New(fail.NotFound, "there is no %s %s to remove", what, word)
			if len(have) > 0 {
				return nil, err.Hint("there are: %s", strings.Join(have, " "))
			}
			return nil, err.Hint("the toolbox has none")
		}
		have = left
	}
	return have, nil
}

// added returns have with more; an entry with the same key is replaced.
func added(have, more []string, key func(string) string) []string {
	out := slices.Clone(have)
	for _, v := range more {
		if i := slices.IndexFunc(out, func(h string) bool { return key(h) == key(v) }); i >= 0 {
			out[i] = v
			continue
		}
		out = append(out, v)
	}
	return out
}

func isVolume(have, word string) bool {
	parts := strings.Split(have, ":")
	return have == word || slices.Contains(parts[:min(2, len(parts))], filepath.Clean(word)) || parts[0] == word
}

func targetOf(volume string) string {
	parts := strings.Split(volume, ":")
	if len(parts) < 2 {
		return volume
	}
	return filepath.Clean(parts[1])
}

func isVariable(have, word string) bool { return variableOf(have) == word }

func variableOf(kv string) string {
	name, _, _ := strings.Cut(kv, "=")
	return name
}

func isShare(h *Host, have, word string) bool { return shareOf(h, have) == shareOf(h, word) }

// shareOf returns the directory of a share.
func shareOf(h *Host, v string) string {
	dir, _ := parseShare(expandHome(h, v))
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		return real
	}
	if abs, err := filepath.Abs(dir); err == nil {
		return abs
	}
	return filepath.Clean(dir)
}

// Difference is one setting that differs between two specifications. Each entry of a list
// is a difference of its own.
type Difference struct {
	Key    string `json:"key"` // of the specification
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// differences lists the differences between two specifications, in their order.
func differences(a, b *Spec) []Difference {
	var out []Difference
	x, y := reflect.ValueOf(*a), reflect.ValueOf(*b)
	for i := range x.NumField() {
		key, _, _ := strings.Cut(x.Type().Field(i).Tag.Get("toml"), ",")
		if key == "" || key == "-" {
			continue // not a setting
		}
		if list, ok := x.Field(i).Interface().([]string); ok {
			other := y.Field(i).Interface().([]string) //nolint:forcetypeassert // of one type
			for _, v := range list {
				if !slices.Contains(other, v) {
					out = append(out, Difference{key, v, ""})
				}
			}
			for _, v := range other {
				if !slices.Contains(list, v) {
					out = append(out, Difference{key, "", v})
				}
			}
			continue
		}
		if before, after := textOf(x.Field(i)), textOf(y.Field(i)); before != after {
			out = append(out, Difference{key, before, after})
		}
	}
	return out
}

// textOf writes a setting with one value; an unset one is empty.
func textOf(v reflect.Value) string {
	if v.IsZero() {
		return ""
	}
	return fmt.Sprint(v.Interface())
}
