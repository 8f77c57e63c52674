package toolbox

import (
	"slices"
	"testing"
)

// S2: what an image's environment says of other programs than its own.
func TestS2_ImageEnv(t *testing.T) {
	p := &Plan{Mounts: []Mount{{Type: "bind", Source: "/srv/x", Target: "/data"}, {Type: "bind", Source: "/opt/mine", Target: "/opt/mine"}}}
	p.ImageEnv = []string{
		"LD_PRELOAD=/evil.so", "LANG=de_DE.UTF-8", "LD_LIBRARY_PATH=/evil", "TBX_TOKEN=x", "TBX_BRIDGE=/evil", "BASH_ENV=/evil", "ENV=/evil", "GODEBUG=x=1",
		"BASH_FUNC_ls%%=() { evil; }", "GLIBC_TUNABLES=x", "GOPATH=/go", "LDFLAGS=-s", "ENVIRONMENT=x", "TBX", "JAVA_HOME=/opt/java",
		"PATH=/evil:.:bin::/go/bin:/usr/bin:/run/tbx/box/shims:/home/jane/bin:/tmp/x:/data/bin:/database/bin:/opt/mine:/go//bin/../bin:/run/host/usr/bin",
	}
	unset, path := p.OverImageEnv()
	if want := []string{"LD_PRELOAD", "LD_LIBRARY_PATH", "TBX_TOKEN", "TBX_BRIDGE", "BASH_ENV", "ENV", "GODEBUG", "BASH_FUNC_ls%%", "GLIBC_TUNABLES"}; !slices.Equal(unset, want) {
		t.Errorf("unset %q, want %q", unset, want)
	}
	const system = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	if want := system + ":/evil:/go/bin:/database/bin"; path != want {
		t.Errorf("PATH %q, want %q", path, want)
	}
	p.ImageEnv = nil
	if _, path := p.OverImageEnv(); path != system {
		t.Errorf("PATH of an image without one: %q", path)
	}
}
