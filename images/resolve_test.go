package images_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/images"
	"github.com/tbx-project/tbx/internal/fail"
)

func catalogue(t *testing.T, overrides ...images.Override) *images.Catalogue {
	t.Helper()
	cat, err := images.LoadCatalogue(overrides...)
	if err != nil {
		t.Fatal(err)
	}
	return cat
}

var (
	debian12 = images.HostOS{ID: "debian", VersionID: "12", VersionCodename: "bookworm"}
	mint     = images.HostOS{ID: "linuxmint", IDLike: []string{"ubuntu", "debian"}, VersionID: "22"}
)

func TestResolve(t *testing.T) {
	cat := catalogue(t)
	for _, c := range []struct {
		distro, release string
		host            images.HostOS
		ref, name       string
	}{
		{"", "", debian12, "docker.io/library/debian:12", "debian-toolbox-12"},
		{"", "", images.HostOS{ID: "debian", VersionCodename: "forky"}, "docker.io/library/debian:testing", "debian-toolbox-testing"},
		{"", "", images.HostOS{ID: "fedora", VersionID: "42"}, "registry.fedoraproject.org/fedora-toolbox:42", "fedora-toolbox-42"},
		{"", "", images.HostOS{ID: "rhel", VersionID: "9.4"}, "registry.access.redhat.com/ubi9/toolbox:9.4", "rhel-toolbox-9.4"},
		{"", "", images.HostOS{ID: "rocky", IDLike: []string{"rhel"}, VersionID: "9.4"}, "quay.io/rockylinux/rockylinux:9", "rocky-toolbox-9"},
		{"", "", images.HostOS{ID: "arch"}, "quay.io/toolbx/arch-toolbox:latest", "arch-toolbox-latest"},
		{"", "", images.HostOS{ID: "alpine", VersionID: "3.20.3"}, "docker.io/library/alpine:3.20", "alpine-toolbox-3.20"},
		{"", "", images.HostOS{ID: "opensuse-tumbleweed", VersionID: "20261101"}, "registry.opensuse.org/opensuse/tumbleweed:latest", "tumbleweed-toolbox-latest"},
		{"", "", images.HostOS{ID: "amzn", VersionID: "2023"}, "public.ecr.aws/amazonlinux/amazonlinux:2023", "amazonlinux-toolbox-2023"},
		{"", "", images.HostOS{ID: "centos", VersionID: "10"}, "quay.io/centos/centos:stream10", "centos-toolbox-stream10"},
		{"", "", mint, "quay.io/toolbx/ubuntu-toolbox:24.04", "ubuntu-toolbox-24.04"},
		{"", "", images.HostOS{ID: "linux"}, "docker.io/library/debian:13", "debian-toolbox-13"},
		{"", "11", debian12, "docker.io/library/debian:11", "debian-toolbox-11"},
		{"debian", "bookworm", mint, "docker.io/library/debian:12", "debian-toolbox-12"},
		{"debian", "sid", mint, "docker.io/library/debian:unstable", "debian-toolbox-unstable"},
		{"debian:trixie", "", debian12, "docker.io/library/debian:13", "debian-toolbox-13"},
		{"ubuntu", "24.04", debian12, "quay.io/toolbx/ubuntu-toolbox:24.04", "ubuntu-toolbox-24.04"},
		{"Ubuntu", "noble", debian12, "quay.io/toolbx/ubuntu-toolbox:24.04", "ubuntu-toolbox-24.04"},
		{"fedora", "f43", debian12, "registry.fedoraproject.org/fedora-toolbox:43", "fedora-toolbox-43"},
		{"fedora", "rawhide", debian12, "registry.fedoraproject.org/fedora-toolbox:rawhide", "fedora-toolbox-rawhide"},
		{"ubi", "8.10", debian12, "registry.access.redhat.com/ubi8/toolbox:8.10", "rhel-toolbox-8.10"},
		{"archlinux", "rolling", debian12, "quay.io/toolbx/arch-toolbox:latest", "arch-toolbox-latest"},
		{"leap", "15.6", debian12, "registry.opensuse.org/opensuse/leap:15.6", "leap-toolbox-15.6"},
	} {
		got, err := cat.Resolve(images.Request{Distro: c.distro, Release: c.release}, c.host)
		if err != nil || got.Reference != c.ref || got.ToolboxName != c.name {
			t.Errorf("distro %q release %q on %s %s: %q %q %v, want %q %q",
				c.distro, c.release, c.host.ID, c.host.VersionID, got.Reference, got.ToolboxName, err, c.ref, c.name)
		}
	}
}

func TestResolveImage(t *testing.T) {
	cat := catalogue(t)
	for image, want := range map[string][2]string{
		"registry.example.org/team/dev:v1":            {"registry.example.org/team/dev:v1", "dev-v1"},
		"registry.example.org:5000/team/dev":          {"registry.example.org:5000/team/dev:latest", "dev-latest"},
		"dev@sha256:" + hex64:                         {"dev@sha256:" + hex64, "dev"},
		"fedora-toolbox:42":                           {"registry.fedoraproject.org/fedora-toolbox:42", "fedora-toolbox-42"},
		"registry.access.redhat.com/ubi9/toolbox:9.4": {"registry.access.redhat.com/ubi9/toolbox:9.4", "rhel-toolbox-9.4"},
		"docker.io/library/debian:12":                 {"docker.io/library/debian:12", "debian-toolbox-12"},
		"debian:12":                                   {"debian:12", "debian-12"}, // a short name that podman completes
		"sha256:" + hex64:                             {hex64, "toolbox-0123456789ab"},
	} {
		got, err := cat.Resolve(images.Request{Image: image}, debian12)
		if err != nil || got.Reference != want[0] || got.ToolboxName != want[1] {
			t.Errorf("image %q: %q %q %v, want %q", image, got.Reference, got.ToolboxName, err, want)
		}
	}
}

func TestResolveErrors(t *testing.T) {
	cat := catalogue(t)
	for _, c := range []struct {
		req  images.Request
		kind error
		msg  string
		hint string
	}{
		{images.Request{Distro: "debain"}, fail.NotFound, `distribution "debain"`, "did you mean debian?"},
		{images.Request{Distro: "ubuntu", Release: "24.4"}, fail.Usage, `release "24.4" of Ubuntu`, "looks like 24.04"},
		{images.Request{Distro: "ubuntu", Release: "24.13"}, fail.Usage, "no such release", "24.04"},
		{images.Request{Distro: "fedora", Release: "-1"}, fail.Usage, "no such release", "44"},
		{images.Request{Distro: "rhel", Release: "9"}, fail.Usage, "no such release", "9.6"},
		{images.Request{Distro: "arch", Release: "2024\n"}, fail.Usage, `"2024\n"`, "latest"},
		{images.Request{Distro: "fedora", Image: "x"}, fail.Usage, "not both", ""},
		{images.Request{Image: "x:"}, fail.Usage, "tag", "looks like"},
	} {
		_, err := cat.Resolve(c.req, debian12)
		if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.msg) || !strings.Contains(strings.Join(fail.Hints(err), "\n"), c.hint) {
			t.Errorf("%+v: %v, hints %q; want kind %v, %q, %q", c.req, err, fail.Hints(err), c.kind, c.msg, c.hint)
		}
	}
}

func TestEveryDistributionResolvesToItsDefault(t *testing.T) {
	cat := catalogue(t)
	for _, want := range []string{"fedora", "rhel", "centos", "debian", "ubuntu", "arch", "opensuse-leap", "opensuse-tumbleweed",
		"alpine", "rocky", "almalinux", "amazonlinux", "void", "wolfi", "gentoo", "kali"} {
		if cat.Find(want) == nil {
			t.Errorf("%s is not in the catalogue", want)
		}
	}
	seen := map[string]string{}
	for _, d := range cat.Distros {
		ch, err := cat.Resolve(images.Request{Distro: d.Name}, images.HostOS{ID: "none"})
		if err != nil || ch.Distro != d.Name || ch.Release != d.Default {
			t.Errorf("%s: %+v, %v", d.Name, ch, err)
		}
		for _, name := range append([]string{d.Name}, append(d.Aliases, d.OSIDs...)...) {
			if other := seen[name]; other != "" && other != d.Name {
				t.Errorf("%q means both %s and %s", name, other, d.Name)
			}
			seen[name] = d.Name
		}
		if d.Title == "" || d.Packages == "" || d.Example == "" {
			t.Errorf("%s: title, packages or example is missing", d.Name)
		}
		// The image alone leads back to the same choice.
		if back, err := cat.Resolve(images.Request{Image: ch.Reference}, debian12); err != nil || back.ToolboxName != ch.ToolboxName || back.Distro != d.Name {
			t.Errorf("%s: its image resolves to %+v, %v", ch.Reference, back, err)
		}
	}
}

func TestBootstrapIsOfferedForSuitesOnly(t *testing.T) {
	cat := catalogue(t)
	ch, err := cat.Resolve(images.Request{}, debian12)
	if err != nil || ch.Suite != "bookworm" || ch.Local != "localhost/tbx/debian:12" || ch.Bootstrap == nil {
		t.Fatalf("%+v, %v", ch, err)
	}
	for _, req := range []images.Request{{Distro: "debian", Release: "unstable"}, {Distro: "fedora", Release: "30"}, {Distro: "void"}} {
		if ch, err := cat.Resolve(req, debian12); err != nil || ch.Bootstrap != nil || ch.Local != "" {
			t.Errorf("%+v: %+v, %v", req, ch, err)
		}
	}
}

func TestOverrides(t *testing.T) {
	cat := catalogue(t,
		images.Override{Path: "/etc/tbx/distros.toml", Data: []byte("default = \"work\"\n[distro.debian]\nimage = \"registry.corp/debian:{release}\"\n[distro.work]\ntitle = \"Work\"\nimage = \"registry.corp/work:{release}\"\nprefix = \"work\"\ndefault = \"1\"\nreleases = '[0-9]+'\ncontract = \"plain\"\n")},
		images.Override{Path: "user", Data: []byte("[distro.debian.bootstrap]\nkeyrings = [\"/k\"]\n[distro.work]\ndefault = \"2\"\n")})
	if ch, err := cat.Resolve(images.Request{}, debian12); err != nil || ch.Reference != "registry.corp/debian:12" || ch.Suite != "bookworm" ||
		!slices.Equal(ch.Bootstrap.Keyrings, []string{"/k"}) || len(ch.Bootstrap.Sources) != 3 {
		t.Errorf("an override of one key: %+v, %v", ch, err)
	}
	if ch, err := cat.Resolve(images.Request{}, images.HostOS{ID: "linux"}); err != nil || ch.Reference != "registry.corp/work:2" || ch.ToolboxName != "work-2" {
		t.Errorf("an added distribution that is the default: %+v, %v", ch, err)
	}
}

func TestOverrideErrorsNameFileAndLine(t *testing.T) {
	for text, want := range map[string]string{
		"default = \"debian\"\n[distro.debian]\nimaeg = \"x\"\n":                 `o.toml:3: there is no key "distro.debian.imaeg"`,
		"[distro.debian]\n\nimage = \"Bad Ref:{release}\"\n":                     "o.toml:1: distro debian: image:",
		"[distro.debian]\nimage = \"debian\"\n":                                  "it must have a tag",
		"x = [\n":                                                                "o.toml:",
		"[distro.debian\n":                                                       "o.toml:2:",
		"[distro.new]\ntitle = \"N\"\n":                                          "o.toml:1: distro new: the key image is missing",
		"[distro.debian]\nreleases = '('\n":                                      "releases:",
		"[distro.debian]\ndefault = \"x y\"\n":                                   "default:",
		"[distro.debian]\ncontract = \"x\"\n":                                    "contract must be",
		"[distro.debian.bootstrap]\ntools = [\"rm\"]\n":                          "tools must be of apk, debootstrap, dnf, mmdebstrap, pacman, zypper",
		"[distro.debian.bootstrap]\nsources = [\"deb http://m {suite} main\"]\n": "lacks [signed-by={keyring}]",
		"[distro.debian.bootstrap]\nkeyrings = []\n":                             "sources and keyrings must not be empty",
		"[distro.void.bootstrap]\ntools = [\"mmdebstrap\"]\n":                    "sources and keyrings must not be empty",
		"default = \"nope\"\n":                                                   `"nope" is not in it`,
		"[distro.debian]\ndefault = 13\n":                                        "o.toml:1: distro debian",
	} {
		_, err := images.LoadCatalogue(images.Override{Path: "o.toml", Data: []byte(text)})
		if !errors.Is(err, fail.Usage) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	_, err := images.LoadCatalogue(images.Override{Path: "o.toml", Data: []byte("[distro.debian]\nimaeg = 1\n")})
	if !slices.Contains(fail.Hints(err), "did you mean image?") {
		t.Errorf("hints %q", fail.Hints(err))
	}
}

func TestParseOSRelease(t *testing.T) {
	got, err := images.ParseOSRelease(strings.NewReader("# c\nID='fedora'\nVERSION_ID=42\nID_LIKE=\"a b\"\nPRETTY_NAME=\"A \\\"b\\\" \\$c\"\nVARIANT_ID=silverblue\nbroken\n VERSION_CODENAME=x\n"))
	if err != nil || got.ID != "fedora" || got.VersionID != "42" || !slices.Equal(got.IDLike, []string{"a", "b"}) ||
		got.PrettyName != `A "b" $c` || got.VariantID != "silverblue" || got.VersionCodename != "x" {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := images.ParseOSRelease(strings.NewReader("")); err != nil || got.ID != "linux" {
		t.Errorf("empty: %+v, %v", got, err)
	}
}
