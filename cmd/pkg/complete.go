package pkg

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/cmd/fetch"
	"github.com/tbx-project/tbx/completion"
	"github.com/tbx-project/tbx/packages"
	"github.com/tbx-project/tbx/toolbox"
)

// The shell waits for the completion. So only the package manager of a running toolbox is
// asked, for this long at most, and never for a refresh.
const (
	completionTime = 2 * time.Second
	mostOffered    = 200
)

// asking returns the package manager of the chosen toolbox, if it runs.
func asking(ctx context.Context, env *fetch.Env, name string) *packages.System {
	env.Quiet = true
	b, err := one(ctx, env, name)
	if err != nil || b.State != toolbox.Running {
		return nil
	}
	s, err := packages.Open(ctx, env.RunnerIn(b.Name, b.Isolated()))
	if err != nil {
		return nil
	}
	return s
}

// completeAsked offers the packages that a user installed, for remove.
func completeAsked(env *fetch.Env, w *where) cobra.CompletionFunc {
	return complete(env, w, func(ctx context.Context, s *packages.System, _ string) []string {
		names, _ := s.AskedFor(ctx)
		return names
	})
}

// completeAvailable offers packages whose names begin with the word, for install.
func completeAvailable(env *fetch.Env, w *where) cobra.CompletionFunc {
	return complete(env, w, func(ctx context.Context, s *packages.System, word string) []string {
		const enough = 2 // letters: fewer would offer half of the distribution
		if len(word) < enough {
			return nil
		}
		return s.Beginning(ctx, word)
	})
}

func complete(env *fetch.Env, w *where, offer func(context.Context, *packages.System, string) []string) cobra.CompletionFunc {
	return cli.Complete(func(cmd *cobra.Command, args []string, word string) []completion.Item {
		ctx, cancel := context.WithTimeoutCause(cmd.Context(), completionTime, packages.ErrSilent)
		defer cancel()
		s := asking(ctx, env, w.toolbox)
		if s == nil {
			return nil
		}
		var items []completion.Item
		for _, name := range offer(ctx, s, word) {
			fits := strings.HasPrefix(name, word) && !slices.Contains(args, name) && packages.CheckNames([]string{name}) == nil
			if fits && len(items) < mostOffered {
				items = append(items, completion.Item{Word: name})
			}
		}
		return items
	})
}
