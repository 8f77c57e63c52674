package box

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/cmd/fetch"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/provision"
	"github.com/tbx-project/tbx/toolbox"
)

type adoptOptions struct {
	all, move, force, undo, dryRun bool
	name                           string
	format                         cli.Format
}

// NewAdopt returns `tbx adopt`.
func NewAdopt(env *fetch.Env) *cobra.Command {
	o := &adoptOptions{}
	cmd := &cobra.Command{
		Use:   "adopt [flags] NAME...",
		Short: "Take over toolboxes of Toolbx, distrobox and apx",
		Long: `Take over toolboxes that Toolbx, distrobox or apx made, with everything installed in
them. Home, volumes, variables, host name and limits come along. The leftovers of those
programs inside are cleared: hooks of package managers, profiles, rules for sudo, empty
passwords. tbx reports everything that cannot come along. --dry-run shows all of this
and changes nothing.

By default tbx makes a copy, called NAME-tbx or by the name of --name. The original stays
as it is, and may be running. --move makes no copy: it takes no disk space and less than
a second. The toolbox becomes tbx's under its own name, and the original is set aside,
empty. A running toolbox is stopped for it if nobody works in it; --force ends what runs.

--undo gives an adopted toolbox back. One that was moved returns to its maker, as it is
now; a copy is removed. If tbx is killed in the middle, the next call repairs that.`,
		Example: `  tbx adopt --dry-run fedora-toolbox-43
  tbx adopt ubuntu
  tbx adopt --name work ubuntu
  tbx adopt --move --all
  tbx adopt --undo ubuntu`,
		RunE: func(cmd *cobra.Command, args []string) error { return runAdopt(cmd.Context(), env, o, args) },
	}
	ofToolboxes(env.Env, cmd, &o.all, "all toolboxes that are not adopted yet")
	f := cmd.Flags()
	f.BoolVar(&o.move, "move", false, "no copy: the toolbox itself becomes tbx's")
	f.StringVar(&o.name, "name", "", "`NAME` of the copy")
	f.BoolVar(&o.undo, "undo", false, "give adopted toolboxes back")
	f.BoolVar(&o.force, "force", false, "end what runs in it")
	f.BoolVar(&o.dryRun, "dry-run", false, "print what would come along and what would not, and do nothing")
	cli.FormatFlag(cmd, &o.format)
	cli.NoCompletion(cmd, "name")
	return cmd
}

func runAdopt(ctx context.Context, env *fetch.Env, o *adoptOptions, args []string) error {
	switch {
	case o.undo && (o.all || o.move || o.name != "" || o.dryRun):
		return fail.New(fail.Usage, "--undo goes with names, --force and --yes only")
	case o.name != "" && (o.move || o.all || len(args) > 1):
		return fail.New(fail.Usage, "--name works for one copy only").
			Hint("a moved toolbox keeps its name; rename it afterwards: tbx rename")
	}
	p, err := env.Provisioner()
	if err != nil {
		return err
	}
	names := make([]toolbox.Name, 0, len(args))
	for _, a := range args {
		n, err := toolbox.ParseName(a)
		if err != nil {
			return err // before anything was done
		}
		names = append(names, n)
	}
	if o.undo {
		return giveBack(ctx, env, p, o, names)
	}
	if o.all {
		if names, err = adoptable(ctx, env, p.Toolboxes, o); err != nil || len(names) == 0 {
			return err
		}
	}
	return adoptEach(ctx, env, p, o, names)
}

// adoptable returns other programs' toolboxes that are not adopted yet.
func adoptable(ctx context.Context, env *fetch.Env, m *toolbox.Manager, o *adoptOptions) ([]toolbox.Name, error) {
	boxes, err := m.List(ctx)
	if err != nil {
		return nil, err
	}
	var names []toolbox.Name
	for _, b := range boxes {
		if b.Maker() == "" {
			continue
		}
		if copied := m.Adopted(b); copied != "" {
			env.Progress().Remark(fmt.Sprintf("toolbox %s was adopted already, as %s", b.Name, copied), "")
			continue
		}
		names = append(names, b.Name)
	}
	if len(names) > 0 {
		return names, nil
	}
	return nil, env.Print(o.format, []adoption{}, func() error {
		fmt.Fprintln(env.Err, "There is no toolbox of Toolbx, distrobox or apx to adopt.")
		return nil
	})
}

func adoptEach(ctx context.Context, env *fetch.Env, p *provision.Provisioner, o *adoptOptions, names []toolbox.Name) error {
	var as toolbox.Name
	if o.name != "" {
		var err error
		if as, err = toolbox.ParseName(o.name); err != nil {
			return err
		}
	}
	do := p.Adopt
	if o.dryRun {
		do = p.PlanAdoption
	}
	done := []adoption{}
	err := cli.ForEach(env.Env, names, func(name toolbox.Name) error {
		a, err := do(ctx, toolbox.AdoptRequest{Name: name, As: as, Move: o.move, Force: o.force})
		if err != nil {
			return err
		}
		done = append(done, adoptionOf(a))
		if o.format == cli.JSON {
			return nil
		}
		env.Progress().Close()
		if len(done) > 1 {
			fmt.Fprintln(env.Out)
		}
		return printAdoption(env.Out, a, o.dryRun)
	})
	if o.format == cli.JSON && len(done) > 0 {
		env.Progress().Close()
		if perr := cli.PrintJSON(env.Out, done); err == nil {
			err = perr
		}
	}
	return err
}

func giveBack(ctx context.Context, env *fetch.Env, p *provision.Provisioner, o *adoptOptions, names []toolbox.Name) error {
	m := p.Toolboxes
	return cli.ForEach(env.Env, names, func(name toolbox.Name) error {
		r, err := m.PlanGiveBack(ctx, name)
		if err != nil {
			return err
		}
		if q := returnQuestion(r); q != "" {
			if err := env.Ask(q); err != nil {
				return err
			}
		}
		if r, err = m.GiveBack(ctx, name, o.force); err != nil {
			return err
		}
		env.Progress().Close()
		env.ForgetRules(string(name))
		if r.Move {
			fmt.Fprintf(env.Out, "Gave toolbox %s back to %s, with everything in it.\n", r.Original, r.Maker)
			return nil
		}
		fmt.Fprintf(env.Out, "Removed toolbox %s; %s of %s is as it was.\n", name, r.Original, r.Maker)
		return nil
	})
}

// returnQuestion returns the question to ask before giving a toolbox back loses
// something.
func returnQuestion(r *toolbox.Return) string {
	snapshots := ""
	if r.Snapshots > 0 {
		snapshots = cli.Plural(r.Snapshots, "snapshot")
	}
	switch {
	case r.Move && snapshots == "":
		return ""
	case r.Move:
		return fmt.Sprintf("Give toolbox %s back to %s, and remove its %s?", r.Name, r.Maker, snapshots)
	}
	q := fmt.Sprintf("Remove toolbox %s, a copy, with everything that was changed in it since it was made", r.Name)
	if snapshots != "" {
		q += ", and its " + snapshots
	}
	return q + "?"
}

// adoption is the output of adopt; docs/schema/adopt.json.
type adoption struct {
	Name      string             `json:"name"`
	As        string             `json:"as"`
	Maker     string             `json:"maker"`
	Move      bool               `json:"move"`
	Taken     []toolbox.Taken    `json:"taken"`
	Lost      []toolbox.Lost     `json:"lost"`
	Leftovers []toolbox.Leftover `json:"leftovers"`
	Exported  []string           `json:"exported"`
	InUse     []inUse            `json:"in_use"`
	Already   string             `json:"already,omitempty"`
}

func adoptionOf(a *toolbox.Adoption) adoption {
	out := adoption{
		Name: string(a.Name), As: string(a.As), Maker: string(a.Maker), Move: a.Move, Already: string(a.Already),
		Taken: append([]toolbox.Taken{}, a.Taken...), Lost: append([]toolbox.Lost{}, a.Lost...),
		Leftovers: append([]toolbox.Leftover{}, a.Leftovers...), Exported: append([]string{}, a.Exported...), InUse: []inUse{},
	}
	for _, r := range a.InUse {
		out.InUse = append(out.InUse, inUse{r.PID, r.Command})
	}
	return out
}

func printAdoption(w io.Writer, a *toolbox.Adoption, dry bool) error {
	switch {
	case dry && a.Move:
		fmt.Fprintf(w, "Toolbox %s of %s would become tbx's, under its own name.\n", a.Name, a.Maker)
	case dry:
		fmt.Fprintf(w, "Toolbox %s of %s would be copied to %s, and stay as it is.\n", a.Name, a.Maker, a.As)
	default:
		fmt.Fprintf(w, "Adopted toolbox: %s\n", a.As)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	section := func(head string, n int, line func(i int) (string, string)) {
		if n == 0 {
			return
		}
		fmt.Fprintf(t, "%s\n", head)
		for i := range n {
			a, b := line(i)
			fmt.Fprintf(t, "  %s\t%s\n", escape.Text(a), escape.Text(b))
		}
		t.Flush()
	}
	if dry {
		section("Comes along", len(a.Taken), func(i int) (string, string) {
			s := a.Taken[i]
			if s.Note != "" {
				return s.Setting, s.Value + " (" + s.Note + ")"
			}
			return s.Setting, s.Value
		})
		section("Is cleared inside", len(a.Leftovers), func(i int) (string, string) { return a.Leftovers[i].Path, a.Leftovers[i].Why })
	}
	section("Does not come along", len(a.Lost), func(i int) (string, string) { return a.Lost[i].What, a.Lost[i].Why })
	head := "Calls the original, as before"
	if a.Move {
		head = "Calls distrobox, which finds no toolbox until it is given back"
	}
	section(head, len(a.Exported), func(i int) (string, string) { return a.Exported[i], "" })
	if dry {
		section("In use", len(a.InUse), func(i int) (string, string) { return a.InUse[i].Command, fmt.Sprintf("process %d", a.InUse[i].PID) })
		if a.Already != "" {
			fmt.Fprintf(w, "It was adopted before, as %s.\n", a.Already)
		}
		return nil
	}
	fmt.Fprintf(w, "Enter it with: tbx enter %s\nTake it back with: tbx adopt --undo %s\n", a.As, a.As)
	return nil
}
