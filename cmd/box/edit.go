package box

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/cmd/fetch"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/provision"
	"github.com/tbx-project/tbx/toolbox"
)

type editOptions struct {
	settings        editFlags
	editor, undo    bool
	force, whenIdle bool
	dryRun          bool
	noSnapshot      bool
	format          cli.Format
}

// NewEdit returns `tbx edit`.
func NewEdit(env *fetch.Env) *cobra.Command {
	o := &editOptions{}
	cmd := &cobra.Command{
		Use:   "edit [flags] NAME",
		Short: "Change the settings of a toolbox",
		Long: `Change the settings of a toolbox, and keep everything in it. edit takes the options of
create, and the opposite of each. Nothing is copied, so it takes no disk space and less
than a second, however large the toolbox is.

podman cannot change an existing container. So tbx makes another one of the same image,
tries it, and moves all files of the toolbox into it in one step; then it removes the
old one. If anything fails before the end, the toolbox is as it was. If tbx is killed in
the middle, the next call repairs that.

A toolbox that runs is stopped for it and started again, if nothing runs in it. Else
what runs is listed and nothing is done: --when-idle has it done when the toolbox stops
or starts the next time, and --force ends what runs, after a snapshot was kept (tbx
snapshot list), which --no-snapshot leaves out. Limits alone are changed while it runs.

Without any setting, edit applies the changes that you made in the toolbox's file (tbx
inspect names it). --undo takes back the last edit, or the waiting one.`,
		Example: `  tbx edit --volume /srv/data:/srv/data build
  tbx edit --no-volume /srv/data --env EDITOR=vi build
  tbx edit --no-x11 --hostname builder build
  tbx edit --memory 8g --cpus 4 build
  tbx edit --editor build
  tbx edit --dry-run --home ~ build
  tbx edit --undo build`,
		RunE: func(cmd *cobra.Command, args []string) error { return runEdit(cmd, env, o, args[0]) },
	}
	ofToolbox(env.Env, cmd)
	o.settings.add(cmd)
	f := cmd.Flags()
	f.BoolVar(&o.editor, "editor", false, "edit all settings as text, with the program in VISUAL or EDITOR")
	f.BoolVar(&o.undo, "undo", false, "take back the last edit, or the waiting one")
	f.BoolVar(&o.whenIdle, "when-idle", false, "if something runs in it, change it when it stops or starts")
	f.BoolVar(&o.force, "force", false, "end what runs in it")
	f.BoolVar(&o.noSnapshot, "no-snapshot", false, "keep no snapshot of what is there before --force")
	f.BoolVar(&o.dryRun, "dry-run", false, "print what would be different, and do nothing")
	cli.FormatFlag(cmd, &o.format)
	return cmd
}

func runEdit(cmd *cobra.Command, env *fetch.Env, o *editOptions, arg string) error {
	ctx := cmd.Context()
	name, err := toolbox.ParseName(arg)
	if err != nil {
		return err
	}
	change, err := o.settings.change(cmd)
	if err != nil {
		return err
	}
	switch {
	case o.noSnapshot && !o.force:
		return fail.New(fail.Usage, "--no-snapshot goes with --force: else none is kept")
	case o.force && o.whenIdle:
		return fail.New(fail.Usage, "--force and --when-idle exclude each other")
	case o.undo && (o.editor || !change.Empty()), o.editor && !change.Empty():
		return fail.New(fail.Usage, "--undo, --editor and settings exclude each other").Hint("one call does one of them")
	}
	p, err := env.Provisioner()
	if err != nil {
		return err
	}
	m := p.Toolboxes
	r := toolbox.EditRequest{Name: name, Change: m.Changed(name, change), Force: o.force, WhenIdle: o.whenIdle}
	if o.undo {
		r.Change = m.Undo(name)
	}
	if o.editor {
		return editByHand(ctx, env, p, r, o)
	}
	return carryOutEdit(ctx, env, p, r, o)
}

// carryOutEdit makes an edit, or with --dry-run plans it, and prints the result.
func carryOutEdit(ctx context.Context, env *fetch.Env, p *provision.Provisioner, r toolbox.EditRequest, o *editOptions) error {
	var done *toolbox.EditPlan
	var kept *toolbox.Snapshot
	var err error
	switch {
	case o.dryRun:
		r.WhenIdle = r.WhenIdle || !r.Force // what runs is told, and is no error
		done, err = p.PlanEdit(ctx, r)
	case r.Force && !o.noSnapshot:
		done, kept, err = p.EditForced(ctx, r)
	default:
		done, err = p.Edit(ctx, r)
	}
	if err != nil {
		return err
	}
	result := editionOf(done)
	if kept != nil {
		result.Snapshot = kept.Name
	}
	return env.Print(o.format, result, func() error {
		if o.dryRun {
			return printEdition(env.Out, &result)
		}
		tellEdit(env.Out, done)
		if kept != nil {
			fmt.Fprintf(env.Out, "What was in it is kept as snapshot %s\n", kept.Name)
		}
		return nil
	})
}

// edition is the output of edit; docs/schema/edit.json.
type edition struct {
	Name     string               `json:"name"`
	Way      toolbox.Way          `json:"way"`
	Settings []toolbox.Difference `json:"settings"`
	Podman   podmanDiff           `json:"podman"`
	InUse    []inUse              `json:"in_use"`
	Snapshot string               `json:"snapshot,omitempty"` // of what was there before
}

type podmanDiff struct {
	Removed []string `json:"removed"`
	Added   []string `json:"added"`
}

type inUse struct {
	PID     int    `json:"pid"`
	Command string `json:"command"`
}

func editionOf(p *toolbox.EditPlan) edition {
	e := edition{Name: string(p.Name), Way: p.Way, Settings: slices.Concat([]toolbox.Difference{}, p.Differences), InUse: []inUse{}}
	was, is := askedOf(p.Was), askedOf(p.Is)
	e.Podman = podmanDiff{lacking(was, is), lacking(is, was)}
	for _, r := range p.InUse {
		e.InUse = append(e.InUse, inUse{r.PID, r.Command})
	}
	return e
}

// askedOf returns the options of a plan without its labels, which follow from them.
func askedOf(p *toolbox.Plan) []string {
	var out []string
	for _, o := range p.Arguments() {
		if o.Flag != "label" {
			out = append(out, cli.Quoted(o.Args()))
		}
	}
	return append(out, cli.Quoted(append([]string{p.Image}, p.Command...)))
}

// lacking returns the strings of a that are not in b.
func lacking(a, b []string) []string {
	out := []string{}
	for _, l := range a {
		if !slices.Contains(b, l) {
			out = append(out, l)
		}
	}
	return out
}

func printEdition(w io.Writer, e *edition) error {
	fmt.Fprintln(w, wayText(e.Way))
	for _, d := range e.Settings {
		if d.Before != "" {
			fmt.Fprintf(w, "- %s = %s\n", d.Key, escape.Text(d.Before))
		}
		if d.After != "" {
			fmt.Fprintf(w, "+ %s = %s\n", d.Key, escape.Text(d.After))
		}
	}
	if len(e.Podman.Removed)+len(e.Podman.Added) > 0 {
		fmt.Fprintln(w, "podman create")
	}
	for _, l := range e.Podman.Removed {
		fmt.Fprintf(w, "-   %s\n", escape.Text(l))
	}
	for _, l := range e.Podman.Added {
		fmt.Fprintf(w, "+   %s\n", escape.Text(l))
	}
	for _, r := range e.InUse {
		fmt.Fprintf(w, "In use: %s (process %d)\n", escape.Text(r.Command), r.PID)
	}
	return nil
}

func wayText(way toolbox.Way) string {
	switch way {
	case toolbox.EditNothing:
		return "There is nothing to change."
	case toolbox.EditRestarts:
		return "The toolbox would be restarted."
	case toolbox.EditLive:
		return "The toolbox would keep running."
	case toolbox.EditWaits:
		return "Something runs in the toolbox. With --when-idle it would be changed when it stops or starts, with --force at once."
	}
	return "The toolbox does not run, and would be changed at once."
}

func tellEdit(w io.Writer, p *toolbox.EditPlan) {
	switch p.Way {
	case toolbox.EditNothing:
		fmt.Fprintf(w, "Toolbox %s has these settings already.\n", p.Name)
	case toolbox.EditWaits:
		fmt.Fprintf(w, "Toolbox %s will be changed when it stops or starts.\n", p.Name)
	case toolbox.EditLive:
		fmt.Fprintf(w, "Changed the limits of toolbox %s, which keeps running.\n", p.Name)
	default:
		fmt.Fprintf(w, "Changed toolbox: %s\nTake it back with: tbx edit --undo %s\n", p.Name, p.Name)
	}
}
