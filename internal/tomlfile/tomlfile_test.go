package tomlfile_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/tbx-project/tbx/internal/tomlfile"
)

type settings struct {
	General struct {
		Toolbox string `toml:"toolbox"`
		Deep    struct {
			Number int `toml:"number"`
		} `toml:"deep"`
	} `toml:"general"`
	Rule   []struct{ Action string }         `toml:"rule"`
	Rules  []rule                            `toml:"rules"`
	Distro map[string]struct{ Image string } `toml:"distro"`
	Hidden string                            `toml:"-"`
}

type rule struct {
	Action string   `toml:"action,omitempty"`
	Args   []string `toml:"args"`
}

func TestDecode(t *testing.T) {
	for text, want := range map[string]tomlfile.Error{
		"[general]\ntoolbox = \"a\"\ntolbox = \"b\"\n":           {Line: 3, Key: "general.tolbox", Near: []string{"general.toolbox"}},
		"[general.deep]\nnumbr = 1\n":                            {Line: 2, Key: "general.deep.numbr", Near: []string{"general.deep.number"}},
		"[[rules]]\naction = \"x\"\n[[rules]]\nactoin = \"y\"\n": {Line: 4, Key: "rules.actoin", Near: []string{"rules.action"}},
		"[genral]\n":                 {Line: 1, Key: "genral", Near: []string{"general"}},
		"zzzzzzzzzzzz = 1\n":         {Line: 1, Key: "zzzzzzzzzzzz"},
		"[general]\ntoolbox = \n":    {Line: 2, Col: 11},
		"[general]\n\ntoolbox = 3\n": {Line: 3},
		"a = \"x\x1b\"\n":            {Line: 1, Col: 6},
	} {
		var s settings
		err := tomlfile.Decode("f\x1b.toml", []byte(text), &s)
		var got *tomlfile.Error
		if !errors.As(err, &got) || got.File != `f\x1b.toml` || got.Line != want.Line || got.Col != want.Col || got.Key != want.Key || !slices.Equal(got.Near[:min(1, len(got.Near))], want.Near) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	var s settings
	if err := tomlfile.Decode("f", []byte("[general]\ntoolbox = \"a\"\n[[rules]]\nargs = []\n"), &s); err != nil || s.General.Toolbox != "a" {
		t.Errorf("%+v, %v", s, err)
	}
}
