package toolbox

import (
	"slices"
	"strings"

	"github.com/tbx-project/tbx/internal/variables"
	"github.com/tbx-project/tbx/toolbox/integration"
	"github.com/tbx-project/tbx/toolbox/join"
)

// EnvOptions are the options of run and enter about the environment.
type EnvOptions struct {
	Set    []string // NAME=VALUE, or NAME for the caller's value
	Block  []string // exact names that the user's configuration blocks
	Root   bool     // for the toolbox's root
	Dir    string   // working directory inside
	Shell  string   // login shell inside; empty: none
	Bridge []string // NAME=VALUE of the bridge to the host, if it works
	Prompt string   // what the shell's prompt shows, %s for the name; empty: nothing

	Inside   Inside // looks into the toolbox; nil: impossible
	Terminal string // name inside of the session's terminal; empty: none
}

// SessionEnv composes the environment of a session from the container's and the caller's.
// It forwards a variable of the caller unless that is known to make sense on the host
// only, and adapts its value by its meaning, see package variables. Names are exact: a
// prefix would match an unrelated variable sooner or later.
func SessionEnv(r *join.Record, caller []string, o EnvOptions) []string {
	env := newEnviron(r.Env)
	j := &judge{record: r, inside: o.Inside, caller: caller, terminal: o.Terminal}
	later := j.forward(env, o.Block)
	if !r.Isolated { // an isolated toolbox has another home
		env.set("PATH", j.mergePath(env.get("PATH"), lookup(caller, "PATH")))
	}
	if len(o.Bridge) > 0 && !o.Root { // host commands by name; the toolbox's own come first
		env.set("PATH", env.get("PATH")+":"+ShimDir)
	}
	for _, v := range later { // by the PATH of the session
		if value, ok := j.late(v, lookup(caller, v.Name), env.list); ok {
			env.set(v.Name, value)
		}
	}
	env.set("TBX_TOOLBOX", r.Name)
	if o.Prompt != "" {
		env.set("TBX_PROMPT", strings.ReplaceAll(o.Prompt, "%s", r.Name))
	}
	if r.HostFiles {
		env.addHostDirs(recorded(r).HostDirs())
	}
	setStart(env, r)
	env.set("SHELL", o.Shell)
	env.set("HOME", r.Home)
	if o.Root {
		env.set("HOME", "/root")
		env.set("USER", "root")
		env.set("LOGNAME", "root")
	}
	env.set("PWD", o.Dir)
	for _, kv := range slices.Concat(o.Bridge, o.Set) {
		name, value, ok := strings.Cut(kv, "=")
		if !ok {
			if !slices.ContainsFunc(caller, func(c string) bool { return strings.HasPrefix(c, name+"=") }) {
				continue
			}
			value = lookup(caller, name)
		}
		env.set(name, value)
	}
	return env.list
}

// forwarded reports whether a variable of the caller may reach the toolbox at all.
func forwarded(v variables.Variable, r *join.Record, block []string) bool {
	switch {
	case v.Name == "" || v.Meaning == variables.HostOnly || slices.Contains(block, v.Name):
		return false
	case r.Isolated && !reachesIsolated(v):
		return false
	}
	return v.Meaning == variables.Always || !slices.Contains(r.Without, integration.OfVariable(v.Name))
}

// reachesIsolated reports whether a forwarded variable also reaches an isolated toolbox:
// those of its integrations, the terminal's abilities, and the depth of calls between
// host and toolbox.
func reachesIsolated(v variables.Variable) bool {
	return integration.InIsolated(integration.OfVariable(v.Name)) ||
		slices.Contains([]string{"TERM", "COLORTERM", "NO_COLOR", "TBX_HOST_DEPTH"}, v.Name)
}

// environ is a list of name=value in which each name occurs once.
type environ struct {
	list  []string
	index map[string]int
}

func newEnviron(list []string) *environ {
	e := &environ{index: map[string]int{}}
	for _, kv := range list {
		if name, value, ok := strings.Cut(kv, "="); ok {
			e.set(name, value)
		}
	}
	return e
}

func (e *environ) set(name, value string) {
	if i, ok := e.index[name]; ok {
		e.list[i] = name + "=" + value
		return
	}
	e.index[name] = len(e.list)
	e.list = append(e.list, name+"="+value)
}

// addHostDirs appends directories of the host view to the lists in variables.
func (e *environ) addHostDirs(dirs []integration.HostDirs) {
	for _, d := range dirs {
		if have := e.get(d.Variable); !strings.HasSuffix(have, d.Value) {
			e.set(d.Variable, have+d.Value)
		}
	}
}

func (e *environ) get(name string) string {
	if i, ok := e.index[name]; ok {
		return e.list[i][len(name)+1:]
	}
	return ""
}
