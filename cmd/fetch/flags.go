package fetch

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/images"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
)

// Flags are those of commands that may fetch an image.
type Flags struct {
	Pull, Platform, AuthFile string
	UnsignedOK, Unprepared   bool
}

// Add adds them. when is the default of --pull; "" leaves that flag out.
func (o *Flags) Add(cmd *cobra.Command, when images.PullPolicy) {
	f := cmd.Flags()
	if when != "" {
		f.StringVar(&o.Pull, "pull", string(when), "`WHEN` to ask the registry: missing, always, newer or never")
		cmd.RegisterFlagCompletionFunc("pull", cobra.FixedCompletions([]string{"missing", "always", "newer", "never"}, cobra.ShellCompDirectiveNoFileComp))
	}
	f.StringVar(&o.Platform, "platform", "", "take the image for this `OS/ARCH`, such as linux/arm64, instead of this machine's")
	f.StringVar(&o.AuthFile, "authfile", "", "`FILE` with the registry's credentials, instead of those of podman login")
	cmd.RegisterFlagCompletionFunc("platform", cobra.FixedCompletions([]string{"linux/amd64", "linux/arm64", "linux/ppc64le", "linux/riscv64", "linux/s390x"}, cobra.ShellCompDirectiveNoFileComp))
	o.unsignedFlag(cmd)
}

func (o *Flags) unsignedFlag(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&o.UnsignedOK, "unsigned-ok", false, "take the image even if signatures are required and nobody vouches for it")
}

// Check refuses what could not be right, before anything is asked or fetched.
func (o *Flags) Check() error {
	if _, err := images.ParsePullPolicy(o.Pull); err != nil {
		return err
	}
	if o.Platform == "" {
		return nil
	}
	if parts := strings.Split(o.Platform, "/"); len(parts) < 2 || len(parts) > 3 || parts[0] == "" || parts[1] == "" || parts[len(parts)-1] == "" {
		return fail.New(fail.Usage, "platform %s: it must be OS/ARCH or OS/ARCH/VARIANT, such as linux/arm64", escape.Quote(o.Platform))
	}
	return nil
}
