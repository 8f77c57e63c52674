package box

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/cmd/fetch"
	"github.com/tbx-project/tbx/images"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/provision"
	"github.com/tbx-project/tbx/toolbox"
	"github.com/tbx-project/tbx/toolbox/integration"
)

type createOptions struct {
	name, container        string
	image, distro, release string
	containerfile          string
	fetch.Flags
	home, hostname string
	volumes, env   []string
	isolated       bool
	noNetwork, gpu bool
	share          []string
	memory, shm    string
	cpus           string
	pids           int64
	without        map[string]*bool
	dryRun         bool
	format         cli.Format
}

// NewCreate returns `tbx create`.
func NewCreate(env *fetch.Env) *cobra.Command {
	cmd, _ := newCreate(env)
	return cmd
}

// newCreate returns the command and the options that its flags set.
func newCreate(env *fetch.Env) (*cobra.Command, *createOptions) {
	o := &createOptions{without: map[string]*bool{}}
	cmd := &cobra.Command{
		Use:   "create [flags] [NAME]",
		Short: "Make a toolbox",
		Long: `Make a toolbox from an image. The image is fetched if it is not there.

Without an image or a distribution, tbx takes the host's own distribution. Without a
name, the toolbox is named after its image, such as debian-toolbox-12.

With --containerfile, tbx builds the image from that file, and builds it again when the
file or a file that it copies has changed.

Programs in a toolbox run as you: they can change your home, talk to your session
and start programs on the host. A toolbox is no security boundary, with any of the
--no-… options. One made with --isolated is: it has a private home, which is removed
with it, and a network of its own. Of the host it has only the directories that --share
names and the requests that your policy allows (tbx policy show). It has no sudo: become
its root with tbx run --root. Changes to a shared directory are changes on the host too,
so look at the results before you run them there. DIRECTORY:ro shares a directory for
reading only. --share ~:ro shares the directories of your home, except hidden ones and
bin. tbx inspect shows what a toolbox can reach.`,
		Example: `  tbx create
  tbx create --distro fedora --release 42 build
  tbx create --image docker.io/library/alpine:3.20 --no-x11 tiny
  tbx create --containerfile ./Containerfile project
  tbx create --isolated --share ~/src/project cell
  tbx create --isolated --share ~:ro --no-network --memory 4g reader
  tbx create --home ~/boxes/work --volume /srv/data:/srv/data:ro work`,
		Args: cli.AtMostOne,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				o.name = args[0]
				if o.name == "" {
					return fail.New(fail.Usage, "the toolbox's name is empty").Hint("leave it out, and tbx makes one up")
				}
			}
			if err := o.integrationsAsked(cmd); err != nil {
				return err
			}
			return runCreate(cmd.Context(), env, o)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	o.flags(cmd, env)
	return cmd, o
}

func (o *createOptions) flags(cmd *cobra.Command, env *fetch.Env) {
	f := cmd.Flags()
	f.StringVarP(&o.image, "image", "i", "", "make it from this `IMAGE`")
	f.StringVarP(&o.distro, "distro", "d", "", "make it from this `DISTRIBUTION`'s image")
	f.StringVarP(&o.release, "release", "r", "", "`RELEASE` of the distribution")
	f.StringVar(&o.containerfile, "containerfile", "", "build the image from this `FILE`, or from the one in this directory")
	f.StringVarP(&o.container, "toolbox", "c", "", "the toolbox's `NAME` (also --container); same as the argument")
	f.StringVar(&o.home, "home", "", "use this `DIRECTORY` of the host as the home, instead of yours")
	f.StringVar(&o.hostname, "hostname", "", "a host `NAME` of its own, instead of the host's")
	f.StringArrayVar(&o.volumes, "volume", nil, "also mount `SOURCE:TARGET[:OPTIONS]`; may be repeated")
	f.StringArrayVar(&o.env, "env", nil, "set `NAME=VALUE` in every session; may be repeated")
	f.BoolVar(&o.isolated, "isolated", false, "make it a security boundary, with only the directories of --share from the host")
	f.StringArrayVar(&o.share, "share", nil,
		"share this `DIRECTORY[:ro]` of the host with an isolated toolbox, with :ro for reading only; may be repeated")
	f.BoolVar(&o.noNetwork, "no-network", false, "give an isolated toolbox no network at all")
	f.BoolVar(&o.gpu, "gpu", false, "give an isolated toolbox the host's GPUs")
	f.StringVar(&o.memory, "memory", "",
		"limit its memory to `SIZE`, such as 4g; 0: no limit; default for an isolated one: three quarters")
	f.StringVar(&o.cpus, "cpus", "", "limit it to the time of `NUMBER` processors, such as 1.5; 0: no limit")
	f.Int64Var(&o.pids, "pids-limit", 0, "limit it to `NUMBER` processes and threads; default for an isolated one: 4096")
	f.StringVar(&o.shm, "shm-size", "", "`SIZE` of an isolated toolbox's /dev/shm; default: 64m")
	o.Flags.Add(cmd, images.PullMissing)
	for _, i := range integration.All() {
		o.without[i.Key] = f.Bool("no-"+i.Key, false, "do not share "+i.What)
	}
	f.BoolVar(&o.dryRun, "dry-run", false, "print the request to podman with the reasons, and do nothing")
	cli.FormatFlag(cmd, &o.format)
	cmd.RegisterFlagCompletionFunc("image", env.CompleteImages)
	cmd.RegisterFlagCompletionFunc("distro", env.CompleteDistros)
	cmd.RegisterFlagCompletionFunc("release", env.CompleteReleases)
	cmd.RegisterFlagCompletionFunc("containerfile", cli.Files)
	for _, dir := range []string{"home", "share", "volume"} {
		cmd.RegisterFlagCompletionFunc(dir, cli.Directories)
	}
	cli.NoCompletion(cmd, "toolbox", "hostname", "env", "memory", "cpus", "pids-limit", "shm-size")
}

// integrationsAsked refuses --no-KEY=false beside --isolated: an isolated toolbox has no
// integrations.
func (o *createOptions) integrationsAsked(cmd *cobra.Command) error {
	for _, i := range integration.All() {
		if o.isolated && cmd.Flags().Changed("no-"+i.Key) && !*o.without[i.Key] {
			return fail.New(fail.Usage, "--no-%s=false and --isolated exclude each other: an isolated toolbox does not share %s", i.Key, i.What).
				Hint("to work on a directory of the host in it: --share DIRECTORY")
		}
	}
	return nil
}

func runCreate(ctx context.Context, env *fetch.Env, o *createOptions) error {
	r, err := o.request()
	if err != nil {
		return err
	}
	p, err := env.Provisioner()
	if err != nil {
		return err
	}
	if o.dryRun {
		return planCreate(ctx, env, p, r, o.format)
	}
	name, err := create(ctx, env, p, r)
	if err != nil {
		return err
	}
	if err := printMade(ctx, env, p.Toolboxes, name, o.format); err != nil {
		return err
	}
	if o.isolated && o.format == cli.Text {
		fmt.Fprintf(env.Out, "It is isolated and has no sudo. Be its root with: tbx enter --root %s\n", name)
		fmt.Fprintf(env.Out, "See what it can reach with: tbx inspect %s\n", name)
	}
	return nil
}

// printMade prints the new toolbox, and the policy rules that its name already has.
func printMade(ctx context.Context, env *fetch.Env, m *toolbox.Manager, name toolbox.Name, format cli.Format) error {
	env.Progress().Close()
	env.TellRules(string(name), "applies to this one")
	if format == cli.Text {
		_, err := fmt.Fprintf(env.Out, "Created toolbox: %s\nEnter it with: tbx enter %s\n", name, name)
		return err
	}
	b, err := m.Find(ctx, name)
	if err != nil {
		return err
	}
	return cli.PrintJSON(env.Out, rowOf(env, b))
}

// request turns o into provision's request.
func (o *createOptions) request() (provision.Request, error) {
	r := provision.Request{
		Image: images.Request{Distro: o.distro, Release: o.release, Image: o.image}, Containerfile: o.containerfile, Fetch: o.Fetch,
		CreateOptions: toolbox.CreateOptions{
			Hostname: o.hostname, Home: o.home, Volumes: o.volumes, Env: o.env,
			Isolated: o.isolated, Share: o.share, NoNetwork: o.noNetwork, GPU: o.gpu, Memory: o.memory, CPUs: o.cpus, Pids: o.pids, ShmSize: o.shm,
		},
	}
	name := o.name
	switch {
	case name == "":
		name = o.container
	case o.container != "" && name != o.container:
		return r, fail.New(fail.Usage, "two names are given: %s and %s", name, o.container)
	}
	if name != "" {
		var err error
		if r.Name, err = toolbox.ParseName(name); err != nil {
			return r, err
		}
	}
	for _, i := range integration.All() {
		if off := o.without[i.Key]; off != nil && *off {
			r.Without = append(r.Without, i.Key)
		}
	}
	return r, nil
}

// create makes a toolbox, and prints what may surprise the user.
func create(ctx context.Context, e *fetch.Env, p *provision.Provisioner, r provision.Request) (toolbox.Name, error) {
	name, err := p.Create(ctx, r)
	if err != nil {
		return "", err
	}
	if !p.Toolboxes.Host.Systemd {
		e.Progress().Warn("there is no systemd user session here, so podman cannot end the processes in a toolbox",
			"stop toolboxes with tbx stop or tbx rm, not with podman")
	}
	if !r.Isolated {
		e.Progress().Line("tbx: a toolbox is no security boundary: programs in it can do whatever you can; " +
			"one made with --isolated is a boundary")
	}
	return name, nil
}

// planCreate does create --dry-run.
func planCreate(ctx context.Context, e *fetch.Env, prov *provision.Provisioner, r provision.Request, format cli.Format) error {
	p, err := prov.Plan(ctx, r)
	if err != nil {
		return err
	}
	asJSON := struct {
		*toolbox.Plan
		Options []toolbox.Option `json:"options"`
	}{p, p.Options()}
	return e.Print(format, asJSON, func() error {
		fmt.Fprintf(e.Out, "podman create\n")
		for _, o := range p.Arguments() {
			why := ""
			if o.Why != "" {
				why = "  # " + o.Why
			}
			fmt.Fprintf(e.Out, "  %s%s\n", cli.Quoted(o.Args()), why)
		}
		_, err := fmt.Fprintf(e.Out, "  %s\n", cli.Quoted(append([]string{p.Image}, p.Command...)))
		return err
	})
}
