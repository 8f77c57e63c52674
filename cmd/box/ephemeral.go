package box

import (
	"context"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tbx-project/tbx/cmd/fetch"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox"
)

// EphemeralMaker is a session.Maker: it makes toolboxes for one session.
type EphemeralMaker struct {
	env     *fetch.Env
	options map[*cobra.Command]*createOptions // by the command that has the flags
}

// NewEphemeralMaker returns an EphemeralMaker.
func NewEphemeralMaker(env *fetch.Env) *EphemeralMaker {
	return &EphemeralMaker{env, map[*cobra.Command]*createOptions{}}
}

// notForOneSession lists the flags of create that do not describe the toolbox, or that
// name it.
var notForOneSession = map[string]bool{"toolbox": true, "dry-run": true, "format": true, "help": true}

// Flags implements session.Maker.
func (e *EphemeralMaker) Flags(cmd *cobra.Command) {
	create, o := newCreate(e.env)
	e.options[cmd] = o
	create.Flags().VisitAll(func(f *pflag.Flag) {
		if cmd.Flags().Lookup(f.Name) == nil && !notForOneSession[f.Name] {
			cmd.Flags().AddFlag(f)
		}
	})
}

// Make implements session.Maker.
func (e *EphemeralMaker) Make(ctx context.Context, cmd *cobra.Command, distro, release string) (*toolbox.Ephemeral, error) {
	o := e.options[cmd]
	o.distro, o.release = distro, release
	if err := o.integrationsAsked(cmd); err != nil {
		return nil, err
	}
	r, err := o.request()
	if err != nil {
		return nil, err
	}
	if r.Home != "" {
		return nil, fail.New(fail.Usage, "--home and --ephemeral exclude each other: the directory would stay, without a toolbox").
			Hint("share it as your home's neighbour instead: --volume DIRECTORY:DIRECTORY")
	}
	p, err := e.env.Provisioner()
	if err != nil {
		return nil, err
	}
	return p.Ephemeral(ctx, r)
}

// Ended implements session.Maker.
func (e *EphemeralMaker) Ended(name toolbox.Name) { e.env.ForgetRules(string(name)) }
