package cli

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/internal/fail"
)

// silence is the default time that a package manager may print nothing.
const silence = 10 * time.Minute

// TimeoutFlag adds the flag for the time that a package manager may print nothing.
func TimeoutFlag(cmd *cobra.Command, quiet *time.Duration) {
	cmd.Flags().DurationVar(quiet, "timeout", silence,
		"end a package manager that prints nothing for this `TIME`, such as 90s or 1h; 0: never")
	cmd.RegisterFlagCompletionFunc("timeout", cobra.FixedCompletions([]string{"90s", "10m", "1h", "0"}, cobra.ShellCompDirectiveNoFileComp))
}

// CheckTimeout refuses an impossible time.
func CheckTimeout(quiet time.Duration) error {
	if quiet < 0 {
		return fail.New(fail.Usage, "--timeout %v: it must not be negative", quiet)
	}
	return nil
}

// Shorten cuts a line of a package manager's output to what a terminal may show.
func Shorten(text string) string {
	const most = 100
	r := []rune(text)
	if len(r) > most {
		return string(r[:most]) + "…"
	}
	return text
}
