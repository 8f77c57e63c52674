package sysupdate_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/osupdatetest"
	"github.com/tbx-project/tbx/osupdate/sysupdate"
)

const (
	list  = "--json=short --offline list"
	check = "--json=short check-new"
)

func config(t *testing.T, tool *osupdatetest.Tool, running string) osupdate.Config {
	cfg := osupdatetest.NewConfig("/", t.TempDir(), tool.Dir)
	cfg.Sysroot = "fake"
	cfg.NewBackend = func(d osupdate.Detection, c osupdate.Config) (osupdate.Backend, error) {
		return sysupdate.New(c.Tools, running)
	}
	return cfg
}

func TestSuite(t *testing.T) {
	osupdatetest.Run(t, func(t *testing.T) *osupdatetest.Fixture {
		tool := osupdatetest.NewTool(t, "old", map[string][]osupdatetest.Call{"systemd-sysupdate": {
			{In: "old", Args: list, Stdout: `{"current":"49","all":["49","48"]}`, Maybe: true},
			{In: "new", Args: list, Stdout: `{"current":"50","all":["50","49"],"appstreamUrls":[]}`, Maybe: true},
			{In: "new", Args: list + " 50", Stdout: `{"version":"50","newest":true,"available":true,"installed":true,"partial":false,"pending":false,"obsolete":false,"protected":false,"incomplete":false,"changelogUrls":[],"contents":[{"type":"regular-file","path":"/var/lib/images/os_50.raw","mtime":1796061992000000,"mode":420}]}`, Maybe: true},
			{In: "old", Args: check, Stdout: `{"available":"50"}`, Maybe: true},
			{Args: "update", Stdout: "Downloading 50: 40%\n", To: "new", Maybe: true},
		}})
		return &osupdatetest.Fixture{Config: config(t, tool, "49"), Snapshot: func() string { return tool.State(t) }, NoBack: true, Reader: "systemd-sysupdate", Mutator: "systemd-sysupdate", Upgrades: "update"}
	})
}

func TestGoldens(t *testing.T) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) < 3 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		tool := osupdatetest.NewTool(t, "x", map[string][]osupdatetest.Call{"systemd-sysupdate": {
			{Args: list, Stdout: osupdatetest.Read(t, file)}, {Args: list + " 50", Stdout: `{"version":"50","installed":true}`, Maybe: true},
		}})
		h, err := osupdate.Open(config(t, tool, "49"))
		if err != nil {
			t.Fatal(err)
		}
		st, err := h.Status(t.Context())
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		osupdatetest.Golden(t, strings.TrimSuffix(file, ".json")+".golden", st.State)
	}
}

// TestCheckCodes: another code than 0 means both "none" and "failed".
func TestCheckCodes(t *testing.T) {
	for _, c := range []struct {
		stdout, stderr string
		code           int
		found          bool
		err            error
	}{
		{`{"available":"50"}`, "", 0, true, nil},
		{`{"available":null}`, "", 1, false, nil},
		{"", "No newer version available.\n", 1, false, nil},
		{"", "Failed to fetch manifest: Could not resolve hostname\n", 1, false, osupdate.ErrNetwork},
		{"", "Failed to open block device: Permission denied\n", 1, false, osupdate.ErrPermission},
		{"", "Segmentation fault\n", 139, false, osupdate.ErrBackend},
		{"garbage", "", 0, false, osupdate.ErrBadOutput},
	} {
		tool := osupdatetest.NewTool(t, "x", map[string][]osupdatetest.Call{"systemd-sysupdate": {
			{Args: list, Stdout: `{"all":["49"]}`}, {Args: check, Stdout: c.stdout, Stderr: c.stderr, Code: c.code},
		}})
		h, err := osupdate.Open(config(t, tool, "49"))
		if err != nil {
			t.Fatal(err)
		}
		u, err := h.Check(t.Context())
		if !errors.Is(err, c.err) || err == nil && (u.Update != nil) != c.found {
			t.Errorf("%+v: %+v, %v", c, u, err)
		}
	}
}

func FuzzList(f *testing.F) {
	for _, name := range []string{"v253-table", "v257", "v260-pending"} {
		f.Add([]byte(osupdatetest.Read(f, "testdata/"+name+".json")))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		versions, err := sysupdate.ParseList(in)
		if err != nil {
			return
		}
		s := &osupdate.State{}
		for _, v := range versions {
			s.Deployments = append(s.Deployments, osupdate.Deployment{ID: "version " + v, Version: v})
		}
		osupdatetest.Use(t, s.Arrange())
	})
}
