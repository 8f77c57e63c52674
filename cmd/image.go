//go:build !front

package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/images"
	imagestore "github.com/tbx-project/tbx/images/podman"
	"github.com/tbx-project/tbx/images/registry"
	"github.com/tbx-project/tbx/internal/escape"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/nearest"
	"github.com/tbx-project/tbx/toolbox"
)

func newImage(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "image",
		Short: "Manage the images that toolboxes are made from",
		Long: `Manage the images that toolboxes are made from. They are podman's images: podman
sees them too. tbx also records where each came from and who signed it.`,
		Example: `  tbx image list
  tbx image pull --distro fedora --release 44
  tbx image outdated`,
		Args: unknownCommand,
		RunE: func(cmd *cobra.Command, args []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		newImageCatalog(env), newImageList(env), newImageInspect(env), newImagePull(env), newImageRemove(env, "rm"), newImagePrune(env),
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
	origin
}

// origin is what tbx recorded of an image when it came; nothing for one that
// podman fetched.
type origin struct {
	Origin    images.Origin `json:"origin,omitempty"`
	Reference string        `json:"reference,omitempty"`
	Digest    string        `json:"digest,omitempty"`
	Signer    string        `json:"signer,omitempty"`
}

// originOf reads the record of an image ID. What cannot be read is not known.
func (e *Env) originOf(id string) origin {
	rec, ok, err := e.records().Load(id)
	if err != nil || !ok {
		return origin{}
	}
	return origin{rec.Origin, rec.Reference, rec.Digest, rec.Signer}
}

func (e *Env) rowOfImage(img images.Image, users []string) imageRow {
	return imageRow{
		ID: img.ID, Names: orEmpty(img.Names), Digests: orEmpty(img.Digests), Created: img.Created.UTC(), Size: img.Size,
		UsedBy: orEmpty(users), origin: e.originOf(img.ID),
	}
}

// orEmpty keeps null out of JSON.
func orEmpty(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

// name is how to speak of the image.
func (r *imageRow) name() string {
	if len(r.Names) > 0 {
		return r.Names[0]
	}
	return r.ID[:min(12, len(r.ID))]
}

// records are those of images; env.Host was called before.
func (e *Env) records() images.Records { return images.RecordsIn(e.host.Dirs.State) }

// trust gives the keys that the user, the administrator and the distribution trust.
func (e *Env) trust() images.Trust {
	return images.Trust{Dir: filepath.Join(e.host.Dirs.Config, "keys"), Other: []string{"/etc/tbx/keys", "/usr/share/tbx/keys"}}
}

// lateRegistry reads the user's files of registries when it is asked and not
// before: an image that is here must not fail for them.
type lateRegistry struct {
	env      *Env
	authFile string
}

func (r lateRegistry) client() (*registry.Client, error) {
	return registry.New(registry.UserFiles(r.env.host.Home, r.authFile, r.env.Getenv))
}

// Digest implements images.Registry.
func (r lateRegistry) Digest(ctx context.Context, ref string) (string, error) {
	c, err := r.client()
	if err != nil {
		return "", err
	}
	return c.Digest(ctx, ref)
}

// Size implements images.Registry.
func (r lateRegistry) Size(ctx context.Context, ref, platform string) (int64, error) {
	c, err := r.client()
	if err != nil {
		return 0, err
	}
	return c.Size(ctx, ref, platform)
}

// fetchFlags are those of commands that may fetch an image.
type fetchFlags struct {
	pull, platform, authfile string
	unsignedOK, unprepared   bool
}

// flags adds them. when is the default of --pull; "" leaves that flag out.
func (o *fetchFlags) flags(cmd *cobra.Command, when images.PullPolicy) {
	f := cmd.Flags()
	if when != "" {
		f.StringVar(&o.pull, "pull", string(when), "`WHEN` to ask the registry: missing, always, newer or never")
		cmd.RegisterFlagCompletionFunc("pull", cobra.FixedCompletions([]string{"missing", "always", "newer", "never"}, cobra.ShellCompDirectiveNoFileComp))
	}
	f.StringVar(&o.platform, "platform", "", "take the image for this `OS/ARCH`, such as linux/arm64, instead of this machine's")
	f.StringVar(&o.authfile, "authfile", "", "`FILE` with the registry's credentials, instead of those of podman login")
	cmd.RegisterFlagCompletionFunc("platform", cobra.FixedCompletions([]string{"linux/amd64", "linux/arm64", "linux/ppc64le", "linux/riscv64", "linux/s390x"}, cobra.ShellCompDirectiveNoFileComp))
	o.unsignedFlag(cmd)
}

func (o *fetchFlags) unsignedFlag(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&o.unsignedOK, "unsigned-ok", false, "take the image even if signatures are required and nobody vouches for it")
}

// check refuses what could not be right, before anything is asked or fetched.
func (o *fetchFlags) check() error {
	if _, err := images.ParsePullPolicy(o.pull); err != nil {
		return err
	}
	if o.platform == "" {
		return nil
	}
	if parts := strings.Split(o.platform, "/"); len(parts) < 2 || len(parts) > 3 || parts[0] == "" || parts[1] == "" || parts[len(parts)-1] == "" {
		return fail.New(fail.Usage, "platform %s: it must be OS/ARCH or OS/ARCH/VARIANT, such as linux/arm64", escape.Quote(o.platform))
	}
	return nil
}

// ensureImage gets the image of choice. agreed says that the user has asked for
// the download in so many words.
func (e *Env) ensureImage(ctx context.Context, choice images.Choice, o *fetchFlags, agreed bool) (images.Image, error) {
	policy, err := images.ParsePullPolicy(o.pull)
	if err != nil {
		return images.Image{}, err
	}
	c, err := e.Config()
	if err != nil {
		return images.Image{}, err
	}
	store, err := e.Images(ctx)
	if err != nil {
		return images.Image{}, err
	}
	_ = os.MkdirAll(e.host.Dirs.State, 0o700) // who has to write there will say that it cannot
	display := e.newFetchDisplay()
	opts := images.EnsureOptions{
		Policy: policy,
		Pull:   images.PullOptions{AuthFile: o.authfile, Platform: o.platform, Quiet: time.Duration(c.Images.StallSeconds) * time.Second, Unprepared: o.unprepared},
		Ask: func(q images.Question) (bool, error) {
			display.expected = q.Bytes
			return e.askImage(q, agreed)
		},
		Registry:   lateRegistry{e, o.authfile},
		Bootstrap:  images.BootstrapOptions{StateDir: e.host.Dirs.State},
		UnsignedOK: o.unsignedOK,
		Progress:   display.event,
	}
	if c.Images.RequireSignature {
		trust := e.trust()
		opts.Trust = &trust
	}
	img, err := images.Ensure(ctx, store, choice, opts)
	if err != nil {
		return img, err
	}
	if p := strings.Split(o.platform, "/"); len(p) > 1 && (p[0] != img.OS || p[1] != img.Arch) {
		if display.stage != "" { // it was fetched just now
			return img, fail.New(fail.NotFound, "image %s: its registry has it for %s/%s, not for %s", choice.Reference, img.OS, img.Arch, o.platform).
				Hint("another release or image may be there for %s", o.platform)
		}
		return img, fail.New(fail.NotFound, "image %s: the one that is here is for %s/%s, not for %s", choice.Reference, img.OS, img.Arch, o.platform).
			Hint("--pull always fetches the other in its place")
	}
	e.warnOf(img)
	return img, nil
}

// warnOf says what an image brings along that a toolbox does not take over.
func (e *Env) warnOf(img images.Image) {
	for _, s := range suspicious(img) {
		e.progress().Warn("the image brings along "+s+", which is left out", "look at it before you trust it: tbx image inspect "+img.ID[:12]+"; a variable can be set all the same: tbx create --env NAME=VALUE")
	}
}

// suspicious lists what an image brings along that would act on toolboxes or on
// tbx if it were taken over, as NAME=VALUE of its environment and label NAME.
func suspicious(img images.Image) []string {
	out := []string{}
	for _, kv := range img.Env {
		if name, _, _ := strings.Cut(kv, "="); toolbox.ActsOnPrograms(name) {
			out = append(out, kv)
		}
	}
	for _, label := range sortedKeys(img.Labels) {
		if strings.HasPrefix(label, "io.tbx.") {
			out = append(out, "label "+label)
		}
	}
	return out
}

func (e *Env) askImage(q images.Question, agreed bool) (bool, error) {
	if agreed && q.Kind == images.AskPull {
		return true, nil
	}
	text := fmt.Sprintf("Image %s is not here. Download it?", q.Reference)
	if q.Bytes > 0 {
		text = fmt.Sprintf("Image %s is not here. Download %s? (%s are free)", q.Reference, size(q.Bytes), size(q.Free))
	}
	if q.Kind == images.AskBootstrap {
		e.progress().Warn(q.Cause.Error(), "")
		text = fmt.Sprintf("No registry can be reached. Make %s from the distribution's package mirror with %s?", q.Reference, q.Tool)
	}
	if err := e.ask(text); err != nil {
		return false, err
	}
	return true, nil
}

// mustNotRequireSignature refuses to make an image that nobody signs.
func (e *Env) mustNotRequireSignature(what string, unsignedOK bool) error {
	c, err := e.Config()
	if err != nil {
		return err
	}
	if c.Images.RequireSignature && !unsignedOK {
		return fail.New(fail.Unable, "image %s: signatures are required, and nobody signs what is built here", escape.Text(what)).
			Hint("--unsigned-ok takes it as it is")
	}
	return nil
}

// printImage is the end of the commands that bring an image here.
func (e *Env) printImage(img images.Image, ref, format string) error {
	e.progress().Close()
	if format == "json" {
		return printJSON(e.Out, e.rowOfImage(img, nil))
	}
	_, err := fmt.Fprintf(e.Out, "%s %.12s\n", escape.Text(ref), img.ID)
	return err
}

// checkImage refuses what can be no name and no id of an image. A short id is
// also a well-formed name.
func checkImage(arg string) error {
	_, err := images.ParseRef(arg)
	return err
}

// imagesOr wants images, or --all without any.
func imagesOr(all *bool) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case all != nil && *all && len(args) > 0:
			return fail.New(fail.Usage, "--all goes without names")
		case (all == nil || !*all) && len(args) == 0:
			return fail.New(fail.Usage, "%s wants the name of an image", cmd.CommandPath()).Hint("tbx image list shows them")
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
			fmt.Fprintf(t, "%s\t%.12s\t%s\t%s\t", escape.Text(name), r.ID, ago(now.Sub(r.Created)), size(r.Size))
			if shares && r.Own != nil {
				fmt.Fprintf(t, "%s\t%s\t", size(*r.Own), size(*r.Common))
			} else if shares {
				fmt.Fprintf(t, "-\t-\t")
			}
			fmt.Fprintf(t, "%s\t%s\t%s\n", dash(string(r.Origin)), dash(shortKey(r.Signer)), dash(escape.Text(strings.Join(r.UsedBy, ", "))))
		}
	}
	return t.Flush()
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// shortKey is the end of a fingerprint, as gpg's long key ID, or the beginning of
// a hash.
func shortKey(id string) string {
	if hash, ok := strings.CutPrefix(id, "SHA256:"); ok {
		return "SHA256:" + hash[:min(16, len(hash))]
	}
	return id[max(0, len(id)-16):]
}

// findImage gets an image that is here, or the error with the nearest name.
func (e *Env) findImage(ctx context.Context, store *imagestore.Store, ref string) (images.Image, error) {
	img, err := store.Inspect(ctx, ref)
	if !errors.Is(err, fail.NotFound) {
		return img, err
	}
	missing := fail.Wrap(nil, err, "")
	if list, err := store.List(ctx); err == nil {
		var names []string
		for _, i := range list {
			for _, n := range i.Names {
				names = append(names, n, strings.TrimSuffix(n, ":latest"))
			}
		}
		if near := nearest.Names(ref, names); len(near) > 0 {
			missing.Hint("did you mean %s?", near[0])
		}
	}
	return img, missing.Hint("tbx image list shows what is here")
}
