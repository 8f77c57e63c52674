package hostbridge

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// How to fuzz: docs/bridge-protocol.md.

// FuzzPolicy: no text makes the parser fail otherwise than by an error. Each
// rule that it takes stands at the line that it names, so that whoever is told
// of it finds it there, and can be decided by.
func FuzzPolicy(f *testing.F) {
	f.Add(builtin)
	for _, text := range []string{
		"[[rule]]\nbox=\"*\"\nexec=\"/bin/x\"\nargs=[\"*\",\"**\"]\naction=\"ask\"\nremember=\"always\"\nenv=[\"A\"]\n",
		"[[rule]]\nbox='''\n[[rule]]\n'''\n",
		"[[\"rule\"]]\nbox='''\n[[rule]]\n'''\nverb='notify'\naction='deny'\n",
		"rule=[{box=\"x\",verb=\"*\",action=\"deny\"}]\n",
		" [[ rule ]] # x\r\nbox=\"@isolated\"\r\nverb='open-url'\r\naction='allow'\r\ntty='never'\r\n",
		"[[rule]]\nbox=\"x\"\nexec=\"y\"\naction=\"deny\"\nargs=[\n\"[[rule]]\",\n]\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		rules, err := ParsePolicy("p", data)
		if err != nil {
			return
		}
		lines := bytes.SplitAfter(data, []byte("\n"))
		for i, r := range rules {
			n, err := strconv.Atoi(strings.TrimPrefix(r.Where, "p:"))
			if err != nil || n < 1 || n > len(lines) {
				t.Fatalf("rule %d stands at %q", i, r.Where)
			}
			// What stands before that line has all rules before this one, and
			// what stands from there on begins with this one.
			before, err := ParsePolicy("p", bytes.Join(lines[:n-1], nil))
			if err != nil || len(before) != i {
				t.Fatalf("before line %d there are %d rules, %v", n, len(before), err)
			}
			from, err := ParsePolicy("p", bytes.Join(lines[n-1:], nil))
			if err != nil || len(from) != len(rules)-i || from[0].Box != r.Box || from[0].Action != r.Action {
				t.Fatalf("from line %d on there are %+v, %v", n, from, err)
			}
			if i > 16 {
				break
			}
		}
		p := &Policy{Rules: rules}
		for _, q := range []Query{
			{Box: "web", Program: program("ls"), Args: []string{"a"}},
			{Box: "web", Isolated: true, Program: program("sudo")},
			{Box: "web", Verb: "notify"},
		} {
			d := p.Decide(q)
			if d.Rule == nil && d.Action != Deny || d.Rule != nil && d.Rule.Action != d.Action {
				t.Fatalf("%+v is decided as %+v", q, d)
			}
		}
	})
}

// FuzzPrepend: a rule made of what a toolbox asked for is the rule that was
// meant, for these arguments and no others, or is not written; and the file can
// be read in any case.
func FuzzPrepend(f *testing.F) {
	f.Add("web", "a\"\n\x1b", "\u202e")
	f.Add("web", "\n[[rule]]\nbox=\"*\"", "'''")
	f.Add("*", "\"\"\"", "**")
	f.Add("web", "\\", "\xff\x00")
	f.Fuzz(func(t *testing.T, box, a, b string) {
		d := PolicyDirs{User: filepath.Join(t.TempDir(), "p")}
		for _, r := range []Rule{
			{Box: "old", Exec: "env", Action: Deny},
			{Box: box, Exec: "env", Args: []string{a, b}, Action: Allow},
		} {
			before, _ := os.ReadFile(filepath.Join(d.User, ownRules))
			if _, err := d.Prepend(r); err != nil {
				after, _ := os.ReadFile(filepath.Join(d.User, ownRules))
				if !bytes.Equal(before, after) {
					t.Fatalf("%+v was refused and written: %s", r, after)
				}
			}
		}
		p, err := d.Load()
		if err != nil {
			t.Fatalf("the file cannot be read: %v", err)
		}
		own := slices.DeleteFunc(p.Rules, func(r Rule) bool { return r.Builtin() })
		switch len(own) {
		case 1: // the second was refused
		case 2:
			if r := own[0]; r.Box != box || r.Exec != "env" || r.Action != Allow || !slices.Equal(r.Args, []string{a, b}) {
				t.Fatalf("box %q, args %q, %q: the rule is %+v", box, a, b, r)
			}
		default:
			t.Fatalf("%d rules", len(own))
		}
	})
}
