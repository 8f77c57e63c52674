package bridge

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/hostbridge"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox"
)

// NewPolicy returns `tbx policy` with its subcommands.
func NewPolicy(env *cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Show and change what toolboxes may do on the host",
		Long: `Show and change what toolboxes may do on the host with tbx host-exec, shims and verbs.

Rules are read from /etc/tbx/host-policy.d, the administrator's, then from
~/.config/tbx/host-policy.d, then come the built-in ones. The first rule that matches
decides; if none matches, the answer is no. docs/host-policy.md describes the files.

A toolbox that is not isolated shares your home and your session. Whatever the policy
says, a malicious program in it can run code as you on the host. The policy prevents
accidents, and makes host commands visible.`,
		Example: "  tbx policy show\n  tbx policy test build -- podman ps\n  tbx policy allow build -- rpm-ostree upgrade",
		Args:    cli.UnknownCommand,
		RunE:    func(cmd *cobra.Command, args []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newPolicyShow(env), newPolicyCheck(env), newPolicyTest(env),
		newPolicyChange(env, hostbridge.Allow), newPolicyChange(env, hostbridge.Deny))
	for _, c := range cmd.Commands() {
		c.DisableFlagsInUseLine = true
	}
	return cmd
}

func newPolicyShow(env *cli.Env) *cobra.Command {
	var format cli.Format
	cmd := &cobra.Command{
		Use:               "show [flags]",
		Short:             "Print the rules in the order in which they are tried",
		Long:              "Print the rules in the order in which they are tried, each with its file and line.",
		Example:           "  tbx policy show",
		Args:              cli.Exactly(0, "no arguments"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			p, err := policy(env)
			if err != nil {
				return err
			}
			return env.Print(format, ruleRows(p.Rules), func() error {
				w := tabwriter.NewWriter(env.Out, 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "ACTION\tTOOLBOX\tWHAT\tRULE")
				for _, r := range p.Rules {
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.Action, escape.Text(r.Box), cli.RuleWhat(r), r.Where)
				}
				return w.Flush()
			})
		},
	}
	cli.FormatFlag(cmd, &format)
	return cmd
}

// ruleRow is a rule in the output of policy show and check;
// docs/schema/policy-show.json. Its keys are those of the policy's files.
type ruleRow struct {
	Rule       string              `json:"rule"` // file:line
	Builtin    bool                `json:"builtin,omitempty"`
	Everything bool                `json:"everything,omitempty"`
	Box        string              `json:"box"`
	Verb       string              `json:"verb,omitempty"`
	Exec       string              `json:"exec,omitempty"`
	Args       []string            `json:"args,omitempty"`
	Action     hostbridge.Action   `json:"action"`
	TTY        string              `json:"tty,omitempty"`
	Remember   hostbridge.Remember `json:"remember,omitempty"`
	Notify     bool                `json:"notify,omitempty"`
	Env        []string            `json:"env,omitempty"`
	Detach     bool                `json:"detach,omitempty"`
	Cwd        string              `json:"cwd,omitempty"`
	Dir        string              `json:"dir,omitempty"`
}

func ruleRows(rules []hostbridge.Rule) []ruleRow {
	out := make([]ruleRow, 0, len(rules))
	for _, r := range rules {
		out = append(out, ruleRow{
			Rule: r.Where, Builtin: r.Builtin(), Everything: r.MeansEverything(), Box: r.Box, Verb: r.Verb, Exec: r.Exec, Args: r.Args,
			Action: r.Action, TTY: r.TTY, Remember: r.Remember, Notify: r.Notify, Env: r.Env, Detach: r.Detach, Cwd: r.Cwd, Dir: r.Dir,
		})
	}
	return out
}

// policy reads the rules that apply now.
func policy(e *cli.Env) (*hostbridge.Policy, error) {
	h, err := e.Host()
	if err != nil {
		return nil, err
	}
	return cli.PolicyDirs(h).Load()
}

func newPolicyCheck(env *cli.Env) *cobra.Command {
	var format cli.Format
	cmd := &cobra.Command{
		Use:   "check [flags]",
		Short: "Check the policy files",
		Long: `Check the policy files: whether they can be read, and which of your or the
administrator's rules allow more than they say. A command that runs other commands or
writes any file lets a toolbox do everything that you can do.`,
		Example:           "  tbx policy check",
		Args:              cli.Exactly(0, "no arguments"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			p, err := policy(env)
			if err != nil {
				return err
			}
			own := 0
			var wide []hostbridge.Rule
			for _, r := range p.Rules {
				if r.Builtin() {
					continue
				}
				own++
				if r.MeansEverything() {
					wide = append(wide, r)
				}
			}
			return env.Print(format, policyCheck{own, ruleRows(wide)}, func() error {
				for _, r := range wide {
					fmt.Fprintf(env.Out, "%s: allowing %s means allowing everything\n", r.Where, escape.Text(r.Exec))
				}
				_, err := fmt.Fprintf(env.Out, "%s besides the built-in ones, %d of which mean everything\n", cli.Plural(own, "rule"), len(wide))
				return err
			})
		},
	}
	cli.FormatFlag(cmd, &format)
	return cmd
}

// policyCheck is the output of policy check; docs/schema/policy-check.json.
type policyCheck struct {
	Rules      int       `json:"rules"` // besides the built-in ones
	Everything []ruleRow `json:"everything"`
}

type policyTarget struct {
	verb     bool
	isolated bool
	said     bool // isolated counts, whatever the toolbox is
	box      string
	argv     []string
}

// parse reads TOOLBOX -- COMMAND [ARG...].
func (o *policyTarget) parse(cmd *cobra.Command, args []string) error {
	if len(args) < 2 || cmd.ArgsLenAtDash() > 1 {
		return fail.New(fail.Usage, "%s needs a toolbox and a command", cmd.CommandPath()).Hint("usage: %s", cmd.UseLine())
	}
	o.box, o.argv = args[0], args[1:]
	if o.box == "@any" || o.box == "@integrated" || o.box == "@isolated" {
		return nil
	}
	if _, err := toolbox.ParseName(o.box); err != nil {
		return fail.Wrap(fail.Usage, err, "%s", cmd.CommandPath()).Hint("for several there are: @any, @integrated, @isolated")
	}
	return nil
}

// completeTarget offers toolboxes and the words for several, then the bridge's verbs
// or what the shell knows.
func completeTarget(env *cli.Env) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		verb, _ := cmd.Flags().GetBool("verb")
		switch {
		case len(args) == 0:
			out, directive := env.CompleteToolboxes(cmd, args, word)
			return append(out, "@any", "@integrated", "@isolated"), directive
		case len(args) == 1 && verb:
			return hostbridge.Verbs(), cobra.ShellCompDirectiveNoFileComp
		}
		return nil, cobra.ShellCompDirectiveDefault
	}
}

// decide returns the policy's present decision, for an isolated toolbox if it is one.
func (o *policyTarget) decide(env *cli.Env) (hostbridge.Decision, error) {
	m, err := env.Manager()
	if err != nil {
		return hostbridge.Decision{}, err
	}
	isolated := o.isolated || o.box == "@isolated"
	if name, err := toolbox.ParseName(o.box); err == nil && !isolated && !o.said {
		if isolated, _, err = m.Isolated(name); err != nil {
			return hostbridge.Decision{}, err
		}
	}
	return cli.PolicyDirs(m.Host).Test(o.box, isolated, o.verb, o.argv)
}

// exists refuses the name of a missing toolbox.
func (o *policyTarget) exists(ctx context.Context, env *cli.Env) error {
	name, err := toolbox.ParseName(o.box)
	if err != nil { // it stands for several toolboxes
		return nil
	}
	m, err := env.Manager()
	if err != nil {
		return err
	}
	if _, known, err := m.Isolated(name); known || err != nil {
		return err
	}
	b, err := m.Find(ctx, name)
	var missing *fail.Error
	if errors.Is(err, fail.NotFound) && errors.As(err, &missing) {
		return missing.Hint("for a toolbox that does not exist yet, add --isolated or --isolated=false")
	}
	if err == nil {
		o.isolated = b.Isolated()
	}
	return err
}

// policyVerdict is the output of policy test; docs/schema/policy-test.json.
type policyVerdict struct {
	Action     hostbridge.Action `json:"action"`
	Rule       string            `json:"rule,omitempty"` // file:line; missing: no rule matches, which is a no
	Everything bool              `json:"everything,omitempty"`
}

func newPolicyTest(env *cli.Env) *cobra.Command {
	o := &policyTarget{}
	var format cli.Format
	cmd := &cobra.Command{
		Use:   "test [flags] TOOLBOX -- COMMAND [ARG...]",
		Short: "Show the policy's decision about a command",
		Long: `Show whether a toolbox may run a command on the host, and which rule decides, without
running it. The command's directory is the current one. The rules for isolated toolboxes
apply if this one was made so; for a toolbox that does not exist yet, add --isolated or
--isolated=false. The exit code is 0 for allow, 20 for deny and 21 for ask.`,
		Example: "  tbx policy test build -- podman ps\n  tbx policy test --verb build -- open-url https://example.org",
		Args:    o.parse,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.said = cmd.Flags().Changed("isolated"); !o.said {
				if err := o.exists(cmd.Context(), env); err != nil {
					return err
				}
			}
			d, err := o.decide(env)
			if err != nil {
				return err
			}
			v := policyVerdict{Action: d.Action}
			if d.Rule != nil {
				v.Rule, v.Everything = d.Where(), d.Rule.MeansEverything()
			}
			err = env.Print(format, v, func() error {
				note := ""
				if v.Everything {
					note = ", a rule that means everything"
				}
				_, err := fmt.Fprintf(env.Out, "%s: %s%s\n", d.Action, d.Where(), note)
				return err
			})
			if err != nil {
				return err
			}
			switch d.Action {
			case hostbridge.Deny:
				return cli.Exit(cli.ExitDeny)
			case hostbridge.Ask:
				return cli.Exit(cli.ExitAsk)
			}
			return nil
		},
		ValidArgsFunction: completeTarget(env),
	}
	cmd.Flags().BoolVar(&o.verb, "verb", false, "COMMAND is a verb of the bridge")
	cli.SetExitGroup(cmd, cli.ExitPolicyTest)
	cmd.Flags().BoolVar(&o.isolated, "isolated", false,
		"decide as for an isolated toolbox, or with =false as for another one, even if it exists")
	cli.FormatFlag(cmd, &format)
	return cmd
}

// notInForce warns if a new rule does not decide: the administrator's rules come first,
// and so do the user's files with earlier names.
func notInForce(e *cli.Env, r hostbridge.Rule, o *policyTarget) error {
	if o.argv[0] == "*" || o.argv[0] == "@privileged" { // these stand for many
		return nil
	}
	d, err := o.decide(e)
	switch {
	case errors.Is(err, fail.NotFound):
		e.Progress().Warn(fmt.Sprintf("the rule has no effect now: %v", err), "")
	case err != nil:
		return err
	case d.Action != r.Action && o.box != "@any": // no toolbox has that name
		e.Progress().Warn(fmt.Sprintf("it does not decide now: %s says %s", escape.Text(d.Where()), d.Action),
			"see the order with: tbx policy show")
	}
	return nil
}

func newPolicyChange(env *cli.Env, action hostbridge.Action) *cobra.Command {
	o := &policyTarget{}
	name := string(action)
	title := strings.ToUpper(name[:1]) + name[1:]
	cmd := &cobra.Command{
		Use:   name + " [flags] TOOLBOX -- COMMAND [ARG...]",
		Short: title + " a host command to a toolbox",
		Long: title + ` a host command to a toolbox, by a rule in front of your others. Without arguments the
rule is for the command with any arguments; with arguments, for exactly these, where * is
any one and a last ** any rest. TOOLBOX may be @any, @integrated or @isolated.

The administrator's rules still come first. A rule for a toolbox's name is removed with the
toolbox, see tbx rm.`,
		Example: "  tbx policy " + name + " build -- rpm-ostree upgrade\n  tbx policy " + name + " --verb build -- clipboard paste",
		Args:    o.parse,
		RunE: func(*cobra.Command, []string) error {
			h, err := env.Host()
			if err != nil {
				return err
			}
			r := hostbridge.Rule{Box: o.box, Exec: o.argv[0], Action: action}
			if o.verb {
				r.Verb, r.Exec = r.Exec, ""
			}
			if len(o.argv) > 1 {
				r.Args = o.argv[1:]
			}
			if r.MeansEverything() {
				if err := env.Ask(fmt.Sprintf("Allowing %s means allowing everything to toolbox %s. Allow it?", r.Exec, o.box)); err != nil {
					return err
				}
			}
			file, err := cli.PolicyDirs(h).Prepend(r)
			if err != nil {
				return err
			}
			fmt.Fprintf(env.Err, "tbx: rule written to %s\n", escape.Text(file))
			return notInForce(env, r, o)
		},
		ValidArgsFunction: completeTarget(env),
	}
	cmd.Flags().BoolVar(&o.verb, "verb", false, "COMMAND is a verb of the bridge")
	return cmd
}
