package images

import (
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/tomlfile"
)

//go:embed distros.toml
var embeddedDistros []byte

// Distro is one distribution of the catalogue. distros.toml documents the keys.
type Distro struct {
	Name      string            `toml:"-" json:"name"`
	Title     string            `toml:"title" json:"title"`
	Aliases   []string          `toml:"aliases" json:"aliases"`
	OSIDs     []string          `toml:"os_ids" json:"os_ids"`
	Image     string            `toml:"image" json:"image"`
	Prefix    string            `toml:"prefix" json:"prefix"`
	Default   string            `toml:"default" json:"default"`
	Releases  string            `toml:"releases" json:"releases"`
	Example   string            `toml:"example" json:"example"`
	Strip     string            `toml:"strip" json:"strip"`
	Names     map[string]string `toml:"names" json:"names"`
	HostParts int               `toml:"host_parts" json:"host_parts"`
	Packages  string            `toml:"packages" json:"packages"`
	Contract  string            `toml:"contract" json:"contract"`
	Bootstrap BootstrapRecipe   `toml:"bootstrap" json:"bootstrap,omitzero"` // no pointer: the decoder would replace it whole

	releases *regexp.Regexp
}

// BootstrapRecipe describes how to make a base image from a package mirror. Without
// Tools it cannot be made.
type BootstrapRecipe struct {
	Tools    []string          `toml:"tools" json:"tools"`
	Suites   map[string]string `toml:"suites" json:"suites"`
	Sources  []string          `toml:"sources" json:"sources"`
	Keyrings []string          `toml:"keyrings" json:"keyrings"`
	KeyPkg   string            `toml:"keypkg" json:"keypkg"`
	Include  []string          `toml:"include" json:"include"`
}

// Catalogue is the table of known distributions, sorted by name.
type Catalogue struct {
	Distros  []*Distro
	fallback string
}

// Override is a file that extends or overrides the embedded catalogue; later
// ones win. Path is named in errors.
type Override struct {
	Path string
	Data []byte
}

// LoadCatalogue parses the embedded catalogue and then each override. An
// override's error is of kind fail.Usage and starts with path:line.
func LoadCatalogue(overrides ...Override) (*Catalogue, error) {
	distros := map[string]*Distro{}
	fallback := ""
	for _, file := range append([]Override{{"distros.toml", embeddedDistros}}, overrides...) {
		if err := file.mergeInto(distros, &fallback); err != nil {
			return nil, err
		}
	}
	cat := &Catalogue{fallback: fallback}
	for _, name := range slices.Sorted(maps.Keys(distros)) {
		d := distros[name]
		d.Aliases, d.OSIDs = append([]string{}, d.Aliases...), append([]string{}, d.OSIDs...) // no null in JSON
		if d.Names == nil {
			d.Names = map[string]string{}
		}
		cat.Distros = append(cat.Distros, d)
	}
	if _, known := distros[fallback]; !known {
		return nil, fail.New(fail.Usage, "catalogue: the default distribution %s is not in it", escape.Quote(fallback))
	}
	return cat, nil
}

func (o Override) mergeInto(distros map[string]*Distro, fallback *string) error {
	// Primitive keeps each table undecoded, so that it can be laid over the
	// entry of an earlier file instead of replacing it whole.
	var file struct {
		Default string                    `toml:"default"`
		Distro  map[string]toml.Primitive `toml:"distro"`
	}
	f, err := tomlfile.Parse(o.Path, o.Data, &file)
	if err != nil {
		return fail.Wrap(fail.Usage, err, "")
	}
	if file.Default != "" {
		*fallback = file.Default
	}
	for name, raw := range file.Distro {
		d := distros[name]
		if d == nil {
			d = &Distro{Name: name}
			distros[name] = d
		}
		if err := f.Part(raw, d); err != nil {
			return fail.Wrap(fail.Usage, err, "%s:%d: distro %s", o.Path, f.Line("distro", name), escape.Text(name))
		}
		if err := d.check(); err != nil {
			return fail.Wrap(fail.Usage, err, "%s:%d: distro %s", o.Path, f.Line("distro", name), escape.Text(name))
		}
	}
	var unknown *tomlfile.Error
	if errors.As(f.Unknown(knownKeys()...), &unknown) {
		e := fail.Wrap(fail.Usage, unknown, "")
		if len(unknown.Near) > 0 {
			e.Hint("%s", unknown.DidYouMean())
		}
		return e
	}
	return nil
}

func knownKeys() []string {
	return []string{"default", "distro", "title", "aliases", "os_ids", "image", "prefix", "releases", "example", "strip",
		"names", "host_parts", "packages", "contract", "bootstrap", "tools", "suites", "sources", "keyrings", "keypkg", "include"}
}

// check refuses an entry that could not resolve, and compiles its pattern.
func (d *Distro) check() error {
	for _, need := range []struct{ key, value string }{
		{"image", d.Image}, {"prefix", d.Prefix}, {"default", d.Default}, {"releases", d.Releases},
	} {
		if need.value == "" {
			return fmt.Errorf("the key %s is missing", need.key)
		}
	}
	if d.Contract != "toolbox" && d.Contract != "plain" {
		return fmt.Errorf("contract must be toolbox or plain, not %s", escape.Quote(d.Contract))
	}
	if err := d.Bootstrap.check(); err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	re, err := regexp.Compile(`^(?:` + d.Releases + `)$`)
	if err != nil {
		return fmt.Errorf("releases: %w", err)
	}
	d.releases = re
	if d.Default, err = d.release(d.Default); err != nil {
		return fmt.Errorf("default: %w", err)
	}
	if _, err := d.ref(d.Default); err != nil {
		return fmt.Errorf("image: %w", err)
	}
	return nil
}

func (b *BootstrapRecipe) check() error {
	if len(b.Tools) == 0 {
		return nil
	}
	known := bootstrapTools()
	for _, tool := range b.Tools {
		if known[tool] == "" {
			return fmt.Errorf("tools must be of %s, not %s", strings.Join(toolNames(), ", "), escape.Quote(tool))
		}
	}
	if len(b.Sources) == 0 || len(b.Keyrings) == 0 {
		return errors.New("sources and keyrings must not be empty") // the tool would choose some by itself
	}
	apt := slices.Contains(b.Tools, mmdebstrap) || slices.Contains(b.Tools, "debootstrap") // the others get one key for all sources
	for _, s := range b.Sources {
		if apt && !strings.Contains(s, "signed-by={keyring}") {
			return fmt.Errorf("source %s lacks [signed-by={keyring}], so that it would not be checked with the keyring", escape.Quote(s))
		}
	}
	return nil
}

// Find returns the distribution of that name, alias or os-release ID, or nil.
func (c *Catalogue) Find(name string) *Distro {
	name = strings.ToLower(name)
	for _, d := range c.Distros {
		if d.Name == name {
			return d
		}
	}
	for _, d := range c.Distros {
		if slices.Contains(d.Aliases, name) || slices.Contains(d.OSIDs, name) {
			return d
		}
	}
	return nil
}

func (c *Catalogue) names() []string {
	var out []string
	for _, d := range c.Distros {
		out = append(append(out, d.Name), d.Aliases...)
	}
	return out
}

// release turns what a user wrote into a release of d.
func (d *Distro) release(s string) (string, error) {
	asked := s
	if d.Strip != "" && len(s) > len(d.Strip) && strings.EqualFold(s[:len(d.Strip)], d.Strip) {
		s = s[len(d.Strip):]
	}
	if r, ok := d.Names[strings.ToLower(s)]; ok {
		s = r
	}
	for release, suite := range d.Bootstrap.Suites {
		if strings.EqualFold(suite, s) {
			s = release
		}
	}
	if !d.releases.MatchString(s) {
		return "", fail.New(fail.Usage, "release %s of %s: there is no such release", escape.Quote(asked), d.Title).
			Hint("a release of %s looks like %s", d.Title, d.Example)
	}
	return s, nil
}

// Known lists, sorted, the releases that the catalogue names. Others of the right form
// may exist.
func (d *Distro) Known() []string {
	out := append(slices.Collect(maps.Keys(d.Bootstrap.Suites)), d.Default, d.Example)
	out = slices.DeleteFunc(append(out, slices.Collect(maps.Values(d.Names))...), func(s string) bool { return !d.releases.MatchString(s) })
	slices.Sort(out)
	return slices.Compact(out)
}

// hostRelease is the release of the host, a system of d, or "" if d has no images for it
// (a rolling or unreleased system).
func (d *Distro) hostRelease(host HostOS) string {
	version := host.VersionID
	if parts := strings.Split(version, "."); d.HostParts > 0 && len(parts) > d.HostParts {
		version = strings.Join(parts[:d.HostParts], ".")
	}
	for _, said := range []string{version, host.VersionCodename} {
		if r, err := d.release(said); err == nil {
			return r
		}
	}
	return ""
}

// ref is the image of a release. A strange release may make a malformed name from the
// template.
func (d *Distro) ref(release string) (Ref, error) {
	major, _, _ := strings.Cut(release, ".")
	ref, err := ParseRef(strings.NewReplacer("{release}", release, "{major}", major).Replace(d.Image))
	if err == nil && (ref.Tag == "" || ref.Digest != "") {
		err = fail.New(fail.Usage, "image reference %s: it must have a tag and no digest", escape.Quote(ref.String()))
	}
	return ref, err
}
