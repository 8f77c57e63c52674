package host

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
)

// hostKargs shows the kernel's arguments, or changes them.
func hostKargs(env *cli.Env, o *hostOptions, none cobra.PositionalArgs) *cobra.Command {
	c := &changeOptions{}
	r := osupdate.Request{Verb: osupdate.Kargs}
	cmd := &cobra.Command{
		Use: "kargs [flags]", Short: "Show or change the kernel's arguments",
		Long:    "Change the arguments of the kernel from the next boot on. Without a change, show those\nof the next boot, or the running ones where its updater does not tell.",
		Example: "  tbx host kargs\n  tbx host kargs --append quiet --delete rhgb", Args: none, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(r.Append)+len(r.Delete) > 0 {
				return runChange(cmd, env, o, c, r)
			}
			return showKargs(cmd, env, o)
		},
	}
	cmd.Flags().StringArrayVar(&r.Append, "append", nil, "add `ARGUMENT`, unless it is there")
	cmd.Flags().StringArrayVar(&r.Delete, "delete", nil, "remove `ARGUMENT`")
	cli.NoCompletion(cmd, "append", "delete")
	changeFlags(cmd, o, c)
	return cmd
}

func showKargs(cmd *cobra.Command, env *cli.Env, o *hostOptions) error {
	if err := cli.CheckFormat(o.format); err != nil {
		return err
	}
	h, err := openHost(env, o)
	if err != nil {
		return err
	}
	st, err := h.Status(cmd.Context())
	if err != nil {
		return err
	}
	d := st.State.Next()
	if d == nil || d.Kargs == nil {
		d = st.State.Current()
	}
	if d == nil || d.Kargs == nil {
		return fail.New(osupdate.ErrUnsupported, "%s does not tell the kernel's arguments", h.Backend().Kind()).Hint("see the running ones in /proc/cmdline")
	}
	if o.format == "json" {
		return cli.PrintJSON(env.Out, d.Kargs)
	}
	for _, k := range d.Kargs {
		fmt.Fprintln(env.Out, escape.Text(k))
	}
	return nil
}

// hostInitramfs chooses whether the initramfs is made on this host.
func hostInitramfs(env *cli.Env, o *hostOptions) *cobra.Command {
	c := &changeOptions{}
	r := osupdate.Request{Verb: osupdate.Initramfs}
	cmd := &cobra.Command{
		Use: "initramfs [flags] enable|disable", Short: "Make the initramfs on this host, or take the system's own",
		Long:    "Make the initramfs on this host at every update, with the modules and settings of its\n/etc; or take the system's own again. Of dracut's arguments those are passed on that name\nmodules, drivers or file systems, and --hostonly and --no-hostonly.",
		Example: "  tbx host initramfs enable --arg=--add=tpm2-tss\n  tbx host initramfs disable",
		Args:    cli.Exactly(1, "enable or disable"), ValidArgs: []string{"enable", "disable"},
		RunE: func(cmd *cobra.Command, args []string) error {
			r.Target = args[0]
			return runChange(cmd, env, o, c, r)
		},
	}
	cmd.Flags().StringArrayVar(&r.Dracut, "arg", nil, "with enable: give dracut this `ARGUMENT`; may be repeated")
	cli.NoCompletion(cmd, "arg")
	changeFlags(cmd, o, c)
	return cmd
}
