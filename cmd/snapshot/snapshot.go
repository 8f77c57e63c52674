// Package snapshot holds `tbx snapshot` and its subcommands: options, one call into
// package toolbox, one print. It must not know how a snapshot is made.
package snapshot

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/cmd/fetch"
	"github.com/tbx-project/tbx/completion"
	"github.com/tbx-project/tbx/toolbox"
)

// New returns `tbx snapshot` with its subcommands.
func New(env *fetch.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "snapshot",
		Short: "Keep the contents of a toolbox, and return to them",
		Long: `Keep the contents of a toolbox, and return to them. A snapshot has everything installed
and changed in the toolbox. It does not have your home or other parts of the host, nor
the private home of an isolated toolbox. A running toolbox stands still for a moment only.

Each snapshot is kept in a podman container that is never started, in the pod
tbx-snapshots, so that podman's prune leaves it alone.`,
		Example: `  tbx snapshot create build before-llvm
  tbx snapshot list build
  tbx snapshot rollback build before-llvm`,
		Args: cli.UnknownCommand,
		RunE: func(cmd *cobra.Command, args []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newCreate(env), newList(env), newShow(env), newRollback(env), newRemove(env), newPrune(env))
	return cmd
}

// row is one snapshot in the output; docs/schema/snapshot-list.json.
type row struct {
	Name      string    `json:"name"`
	Toolbox   string    `json:"toolbox"`
	ToolboxID string    `json:"toolbox_id"`
	Gone      bool      `json:"toolbox_gone,omitempty"`
	Created   time.Time `json:"created"`
	Reason    string    `json:"reason"`
	Automatic bool      `json:"automatic"`
	Bytes     int64     `json:"bytes,omitempty"`   // 0: not known
	Entries   int64     `json:"entries,omitempty"` // 0: not known
	Image     string    `json:"image"`
	ImageID   string    `json:"image_id"`
	Container string    `json:"container"`
}

// rowOf returns the row of a snapshot. current has today's names of toolboxes by their
// ids.
func rowOf(s *toolbox.Snapshot, current map[string]string) row {
	r := row{
		Name: s.Name, Toolbox: string(s.Toolbox), ToolboxID: s.ToolboxID, Created: s.Created.UTC(), Reason: s.Reason, Automatic: s.Automatic,
		Bytes: s.Bytes, Entries: s.Entries, Image: s.Image, ImageID: s.ImageID, Container: s.Container,
	}
	name, there := current[s.ToolboxID]
	if r.Gone = !there; there {
		r.Toolbox = name
	}
	return r
}

// currentNames returns the names of toolboxes by the ids of their specifications.
func currentNames(ctx context.Context, m *toolbox.Manager) (map[string]string, error) {
	boxes, err := m.List(ctx)
	out := map[string]string{}
	for _, b := range boxes {
		if b.Managed() {
			out[b.Labels[toolbox.LabelID]] = string(b.Name)
		}
	}
	return out, err
}

// named returns the manager, and the toolbox's name from the user's word.
func named(env *fetch.Env, name string) (*toolbox.Manager, toolbox.Name, error) {
	m, err := env.Manager()
	if err != nil {
		return nil, "", err
	}
	parsed, err := toolbox.ParseName(name)
	return m, parsed, err
}

// of returns the snapshots of the toolbox with that name.
func of(ctx context.Context, env *fetch.Env, name string) (*toolbox.Manager, toolbox.Name, []*toolbox.Snapshot, error) {
	m, parsed, err := named(env, name)
	if err != nil {
		return nil, "", nil, err
	}
	all, err := m.SnapshotsOf(ctx, parsed)
	return m, parsed, all, err
}

// chosen returns the snapshots of the named toolbox, or all of them, and today's names of
// toolboxes.
func chosen(ctx context.Context, env *fetch.Env, args []string) (all []*toolbox.Snapshot, current map[string]string, err error) {
	m, err := env.Manager()
	if err != nil {
		return nil, nil, err
	}
	if len(args) == 1 {
		_, _, all, err = of(ctx, env, args[0])
	} else {
		all, err = m.Snapshots(ctx, "")
	}
	if err != nil {
		return nil, nil, err
	}
	current, err = currentNames(ctx, m)
	return all, current, err
}

func rowsOf(all []*toolbox.Snapshot, current map[string]string) []row {
	rows := make([]row, 0, len(all))
	for _, s := range all {
		rows = append(rows, rowOf(s, current))
	}
	return rows
}

// one returns one snapshot of a toolbox.
func one(ctx context.Context, env *fetch.Env, args []string) (*toolbox.Manager, *toolbox.Snapshot, error) {
	m, name, err := named(env, args[0])
	if err != nil {
		return nil, nil, err
	}
	wanted, err := toolbox.ParseSnapshotName(args[1])
	if err != nil {
		return nil, nil, err
	}
	s, err := m.SnapshotOf(ctx, name, wanted)
	return m, s, err
}

// ofSnapshot completes a command about one snapshot of a toolbox: its arguments, and the
// shell's completion of these.
func ofSnapshot(env *fetch.Env, cmd *cobra.Command) {
	cmd.Annotations = cli.Quietly()
	cmd.Args = cli.Exactly(2, "the name of a toolbox and of a snapshot")
	cmd.ValidArgsFunction = complete(env)
}

// ofOneOrAll completes a command about the snapshots of one toolbox, or of all.
func ofOneOrAll(env *fetch.Env, cmd *cobra.Command) {
	cmd.Annotations = cli.Quietly()
	cmd.Args = cli.AtMostOne
	cmd.ValidArgsFunction = cli.OnlyFirst(env.CompleteToolboxes)
}

// complete offers toolboxes for the first word, then their snapshots.
func complete(env *fetch.Env) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		if len(args) == 0 {
			return env.CompleteToolboxes(cmd, args, word)
		}
		if len(args) > 1 && !strings.Contains(cmd.Use, "SNAPSHOT...") {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return CompleteNames(env, args[0], args[1:])(cmd, args, word)
	}
}

// CompleteNames offers the snapshots of a toolbox that are not among given.
func CompleteNames(env *fetch.Env, name string, given []string) cobra.CompletionFunc {
	return cli.Complete(func(cmd *cobra.Command, _ []string, _ string) []completion.Item {
		env.Quiet = true
		all := completion.Within(cmd.Context(), time.Second, func(ctx context.Context) ([]*toolbox.Snapshot, error) {
			_, _, all, err := of(ctx, env, name)
			return all, err
		})
		return items(all, given)
	})
}

func items(all []*toolbox.Snapshot, given []string) []completion.Item {
	var out []completion.Item
	for _, s := range all {
		taken := false
		for _, g := range given {
			taken = taken || g == s.Name
		}
		if !taken {
			out = append(out, completion.Item{Word: s.Name, Help: s.Reason})
		}
	}
	return out
}
