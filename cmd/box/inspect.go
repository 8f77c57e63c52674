package box

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/cmd/fetch"
	"github.com/tbx-project/tbx/hostbridge"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/toolbox"
	"github.com/tbx-project/tbx/toolbox/integration"
)

// NewInspect returns `tbx inspect`.
func NewInspect(env *fetch.Env) *cobra.Command {
	var format cli.Format
	cmd := &cobra.Command{
		Use:         "inspect [flags] NAME",
		Annotations: cli.Quietly(),
		Aliases:     []string{"show"},
		Short:       "Show what a toolbox is and what it can reach",
		Long:        "Show what a toolbox is, what it can reach on the host, and why.",
		Example:     "  tbx inspect build\n  tbx inspect --format json build | jq '.mounts[].target'",
		RunE: func(cmd *cobra.Command, args []string) error {
			return runInspect(cmd.Context(), env, args[0], format)
		},
	}
	ofToolbox(env.Env, cmd)
	cli.FormatFlag(cmd, &format)
	return cmd
}

// inspection is the output of inspect; docs/schema/inspect.json.
type inspection struct {
	row
	PID          int                  `json:"pid,omitempty"`
	ExitCode     int                  `json:"exit_code"`
	Hostname     string               `json:"hostname"`
	Home         string               `json:"home"`
	Integrations map[string]bool      `json:"integrations,omitempty"`
	Mounts       []toolbox.Mount      `json:"mounts,omitempty"`
	Environment  []string             `json:"environment,omitempty"`
	Access       []toolbox.Access     `json:"access,omitempty"`
	Limits       []toolbox.Access     `json:"limits,omitempty"`
	Options      []toolbox.Access     `json:"options,omitempty"`
	SpecFile     string               `json:"spec_file,omitempty"`
	Waiting      []toolbox.Difference `json:"waiting,omitempty"` // changes at the next stop or start
	Created      time.Time            `json:"created"`
}

func runInspect(ctx context.Context, env *fetch.Env, arg string, format cli.Format) error {
	name, err := toolbox.ParseName(arg)
	if err != nil {
		return err
	}
	m, err := env.Manager()
	if err != nil {
		return err
	}
	b, err := m.Find(ctx, name)
	if err != nil {
		return err
	}
	i := inspection{row: rowOf(env, b), PID: b.PID, ExitCode: b.ExitCode, Created: b.Created.UTC()}
	if b.SpecErr != nil {
		return b.SpecErr
	}
	if b.Managed() {
		d, err := m.Describe(b)
		if err != nil {
			return err
		}
		i.Hostname, i.Home, i.Mounts, i.Environment, i.Access, i.SpecFile = d.Hostname, d.Home, d.Mounts, d.Env, d.Access, d.SpecFile
		i.Waiting = m.Waiting(b)
		if i.Limits, i.Options = d.Limits, d.Options; i.Isolated {
			asked, err := requests(m.Host, b.Name)
			if err != nil {
				return err
			}
			i.Access = append(i.Access, asked...)
		}
		i.Integrations = map[string]bool{}
		for _, n := range integration.All() {
			i.Integrations[n.Key] = b.Spec.Has(n.Key)
		}
	}
	return env.Print(format, i, func() error { return printInspection(env, &i) })
}

// requests lists the requests that an isolated toolbox may make to the host under the
// present policy.
func requests(h *toolbox.Host, name toolbox.Name) ([]toolbox.Access, error) {
	may := map[hostbridge.Action][]string{}
	for _, verb := range hostbridge.Verbs() {
		argv := []string{verb}
		if verb == "clipboard" {
			argv = append(argv, "copy") // reading it is another request, and denied
		}
		d, err := cli.PolicyDirs(h).Test(string(name), true, true, argv)
		if err != nil {
			return nil, err
		}
		may[d.Action] = append(may[d.Action], strings.Join(argv, " "))
	}
	var out []toolbox.Access
	for _, c := range []struct {
		action hostbridge.Action
		why    string
	}{
		{hostbridge.Allow, "requests that your policy allows: tbx policy show"},
		{hostbridge.Ask, "requests that tbx asks you about, each time"},
	} {
		if len(may[c.action]) > 0 {
			out = append(out, toolbox.Access{What: strings.Join(may[c.action], ", "), Why: c.why})
		}
	}
	return out, nil
}

// boundary describes a toolbox's protection in one sentence.
func boundary(isolated bool) string {
	if isolated {
		return "isolated: it has only the parts of the host that are listed below"
	}
	return "none: programs in it run as you, and can start programs on the host"
}

func printInspection(env *fetch.Env, i *inspection) error {
	t := tabwriter.NewWriter(env.Out, 0, 0, 2, ' ', 0)
	line := func(key, value string) {
		if value != "" {
			fmt.Fprintf(t, "%s\t%s\n", key, escape.Text(value))
		}
	}
	i.printHead(line)
	if len(i.Mounts) > 0 {
		fmt.Fprintln(t, "\nMounts")
		for _, m := range i.Mounts {
			what := m.Target
			if m.Source != "" && m.Source != m.Target {
				what += " (" + m.Source + ")"
			}
			line("  "+what, m.Reason)
		}
	}
	for _, part := range []struct {
		title string
		lines []toolbox.Access
	}{{"It can reach", i.Access}, {"Its limits are", i.Limits}, {"It is made with", i.Options}} {
		if len(part.lines) > 0 {
			fmt.Fprintln(t, "\n"+part.title)
		}
		for _, a := range part.lines {
			line("  "+a.What, a.Why)
		}
	}
	if len(i.Environment) > 0 {
		fmt.Fprintln(t, "\nEnvironment")
		for _, kv := range i.Environment {
			key, value, _ := strings.Cut(kv, "=")
			line("  "+key, value)
		}
	}
	return t.Flush()
}

// printHead calls line for each single value.
func (i *inspection) printHead(line func(key, value string)) {
	state := i.State
	if i.PID > 0 {
		state += fmt.Sprintf(" (process %d)", i.PID)
	} else if i.Started != nil {
		state += fmt.Sprintf(" (exit code %d)", i.ExitCode)
	}
	line("Name", i.Name)
	line("State", state)
	line("Image", i.Image+" ("+i.ImageID[:min(12, len(i.ImageID))]+")")
	line("Image's digest", i.ImageDigest)
	line("Image signed by", i.ImageSigner)
	line("Container", i.ID)
	line("Created", i.Created.Format(time.RFC3339))
	line("Made by", i.Manager)
	if i.Manager == "tbx" {
		line("Boundary", boundary(i.Isolated))
	}
	line("Host name", i.Hostname)
	line("Home", i.Home)
	line("Specification", i.SpecFile)
	for _, d := range i.Waiting {
		after, before := cmp.Or(d.After, "nothing"), cmp.Or(d.Before, "nothing")
		line("Waits", fmt.Sprintf("%s: %s instead of %s, when it stops or starts", d.Key, after, before))
	}
}
