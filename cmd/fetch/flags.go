package fetch

import (
	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/images"
	"github.com/tbx-project/tbx/provision"
)

// Flags are the flags of commands that may fetch an image.
type Flags struct{ provision.Fetch }

// Add adds the flags. when is the default of --pull; "" leaves that flag out.
func (o *Flags) Add(cmd *cobra.Command, when images.PullPolicy) {
	f := cmd.Flags()
	if when != "" {
		f.StringVar(&o.Pull, "pull", string(when), "`WHEN` to ask the registry: missing, always, newer or never")
		cmd.RegisterFlagCompletionFunc("pull", cli.Words("missing", "always", "newer", "never"))
	}
	f.StringVar(&o.Platform, "platform", "", "take the image for this `OS/ARCH`, such as linux/arm64, instead of this machine's")
	f.StringVar(&o.AuthFile, "authfile", "", "`FILE` with the registry's credentials, instead of those of podman login")
	cmd.RegisterFlagCompletionFunc("platform", cli.Words("linux/amd64", "linux/arm64", "linux/ppc64le", "linux/riscv64", "linux/s390x"))
	cmd.RegisterFlagCompletionFunc("authfile", cli.Files)
	o.unsignedFlag(cmd)
}

func (o *Flags) unsignedFlag(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&o.UnsignedOK, "unsigned-ok", false, "take the image even if a signature is required and it has none")
}
