package image

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/cmd/fetch"
	"github.com/tbx-project/tbx/images"
	"github.com/tbx-project/tbx/internal/bytesize"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
)

// New returns `tbx image` with its subcommands.
func New(env *fetch.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "image",
		Short: "Manage the images that toolboxes are made from",
		Long: `Manage the images that toolboxes are made from. They are podman's images: podman
sees them too. tbx also records where each came from and who signed it.`,
		Example: `  tbx image list
  tbx image pull --distro fedora --release 44
  tbx image outdated`,
		Args: cli.UnknownCommand,
		RunE: func(cmd *cobra.Command, args []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		newImageCatalog(env), newImageList(env), newImageInspect(env), newImagePull(env), NewRemove(env, "rm"), newImagePrune(env),
		newImageOutdated(env), newImageTag(env), newImageBuild(env), newImageBootstrap(env), newImageVerify(env), newImageTrust(env),
	)
	return cmd
}

// imageRow is one image in the output of image list; docs/schema/image-list.json.
type imageRow struct {
	ID      string    `json:"id"`
	Names   []string  `json:"names"`
	Digests []string  `json:"digests"`
	Created time.Time `json:"created"`
	Size    int64     `json:"size"`
	Own     *int64    `json:"own_size,omitempty"`
	Common  *int64    `json:"shared_size,omitempty"`
	UsedBy  []string  `json:"used_by"`
	fetch.Recorded
}

func rowOfImage(e *fetch.Env, img images.Image, users []string) imageRow {
	return imageRow{
		ID: img.ID, Names: cli.OrEmpty(img.Names), Digests: cli.OrEmpty(img.Digests), Created: img.Created.UTC(), Size: img.Size,
		UsedBy: cli.OrEmpty(users), Recorded: e.OriginOf(img.ID),
	}
}

// name returns the image's name for messages.
func (r *imageRow) name() string {
	if len(r.Names) > 0 {
		return r.Names[0]
	}
	return r.ID[:min(12, len(r.ID))]
}

// printImage prints the image that a command fetched or made.
func printImage(e *fetch.Env, img images.Image, ref string, format cli.Format) error {
	return e.Print(format, rowOfImage(e, img, nil), func() error {
		_, err := fmt.Fprintf(e.Out, "%s %.12s\n", escape.Text(ref), img.ID)
		return err
	})
}

// checkImage refuses a word that can be neither a name nor an id of an image. A short id
// is also a well-formed name.
func checkImage(arg string) error {
	_, err := images.ParseRef(arg)
	return err
}

// imagesOr accepts images, or --all without images.
func imagesOr(all *bool) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case all != nil && *all && len(args) > 0:
			return fail.New(fail.Usage, "--all goes without names")
		case (all == nil || !*all) && len(args) == 0:
			return fail.New(fail.Usage, "%s needs the name of an image", cmd.CommandPath()).Hint("tbx image list shows them")
		}
		for _, a := range args {
			if err := checkImage(a); err != nil {
				return err // before anything is done
			}
		}
		return nil
	}
}

func printImageRows(w io.Writer, rows []imageRow, shares bool, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	head := "NAME\tID\tCREATED\tSIZE\t"
	if shares {
		head += "OWN\tSHARED\t"
	}
	fmt.Fprintln(t, head+"ORIGIN\tSIGNED BY\tUSED BY")
	for _, r := range rows {
		names := r.Names
		if len(names) == 0 {
			names = []string{"(no name)"}
		}
		for _, name := range names {
			fmt.Fprintf(t, "%s\t%.12s\t%s\t%s\t", escape.Text(name), r.ID, cli.Ago(now.Sub(r.Created)), bytesize.Text(r.Size))
			if shares && r.Own != nil {
				fmt.Fprintf(t, "%s\t%s\t", bytesize.Text(*r.Own), bytesize.Text(*r.Common))
			} else if shares {
				fmt.Fprintf(t, "-\t-\t")
			}
			users := cli.Dash(escape.Text(strings.Join(r.UsedBy, ", ")))
			fmt.Fprintf(t, "%s\t%s\t%s\n", cli.Dash(string(r.Origin)), cli.Dash(shortKey(r.Signer)), users)
		}
	}
	return t.Flush()
}

// shortKey returns the end of a fingerprint, like gpg's long key ID, or the beginning of
// a hash.
func shortKey(id string) string {
	if hash, ok := strings.CutPrefix(id, "SHA256:"); ok {
		return "SHA256:" + hash[:min(16, len(hash))]
	}
	return id[max(0, len(id)-16):]
}
