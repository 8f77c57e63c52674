package cli

import (
	"fmt"
	"strings"

	"github.com/tbx-project/tbx/hostbridge"
	"github.com/tbx-project/tbx/internal/escape"
)

// The policy's rules name toolboxes. A rule for a removed toolbox would allow the next
// one of that name something that the owner never allowed it.

// ForgetRules removes the rules that tbx wrote for a toolbox that was just removed, and
// names them and the rules that others wrote.
func (e *Env) ForgetRules(name string) {
	h, err := e.Host()
	if err != nil {
		return
	}
	dirs := PolicyDirs(h)
	gone, err := dirs.Forget(name)
	e.Progress().Close()
	for _, r := range gone {
		fmt.Fprintf(e.Err, "tbx: removed with toolbox %s its policy rule: %s %s\n", name, r.Action, RuleWhat(r))
	}
	if err != nil {
		e.Progress().Warn(fmt.Sprintf("policy rules for toolbox %s may be left: %v", name, err), "see them with: tbx policy show")
	}
	e.TellRules(name, "is left and applies to the next one of that name")
}

// MoveRules changes the rules that tbx wrote for a toolbox to its new name.
func (e *Env) MoveRules(from, to string) {
	h, err := e.Host()
	if err != nil {
		return
	}
	moved, err := PolicyDirs(h).Rename(from, to)
	e.Progress().Close()
	switch {
	case err != nil:
		e.Progress().Warn(fmt.Sprintf("policy rules still have the name %s: %v", from, err), "see them with: tbx policy show")
	case moved > 0:
		fmt.Fprintf(e.Err, "tbx: policy: %s for toolbox %s now for %s\n", Plural(moved, "rule"), from, to)
	}
	e.TellRules(from, "is left and applies to the next one of that name")
}

// TellRules names the rules that allow something to a toolbox of exactly that name.
func (e *Env) TellRules(name, what string) {
	h, err := e.Host()
	if err != nil {
		return
	}
	rules, err := PolicyDirs(h).Granted(name)
	if err != nil {
		return // nothing runs with such a policy; tbx policy check says why
	}
	for _, r := range rules {
		e.Progress().Warn(fmt.Sprintf("a policy rule for toolbox %s %s: %s %s (%s)", name, what, r.Action, RuleWhat(r), r.Where), "")
	}
}

// RuleWhat describes a rule in one line.
func RuleWhat(r hostbridge.Rule) string {
	words := []string{escape.Text(r.Exec)}
	if r.Verb != "" {
		words = []string{"verb", escape.Text(r.Verb)}
	}
	for _, a := range r.Args {
		words = append(words, escape.Text(a))
	}
	what := strings.Join(words, " ")
	if r.Dir != "" {
		what += "  in " + escape.Text(r.Dir)
	}
	for _, kv := range r.Env {
		what += "  with " + escape.Text(kv)
	}
	if r.MeansEverything() {
		what += "  (allows everything)"
	}
	return what
}
