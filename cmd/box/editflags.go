package box

import (
	"github.com/spf13/cobra"

	"github.com/tbx-project/tbx/cmd/cli"
	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/toolbox"
	"github.com/tbx-project/tbx/toolbox/integration"
)

// editFlags are create's settings and their opposites.
type editFlags struct {
	home, hostname, memory, cpus, shm string
	pids                              int64
	noHostname                        bool
	volumes, noVolumes, env, noEnv    []string
	share, noShare                    []string
	network, noNetwork                bool
	on, off                           map[string]*bool
}

func (o *editFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	o.on, o.off = map[string]*bool{}, map[string]*bool{}
	f.StringVar(&o.home, "home", "", "use this `DIRECTORY` of the host as the home; ~ is your own")
	f.StringVar(&o.hostname, "hostname", "", "a host `NAME` of its own")
	f.BoolVar(&o.noHostname, "no-hostname", false, "the host's name, instead of one of its own")
	f.StringArrayVar(&o.volumes, "volume", nil, "also mount `SOURCE:TARGET[:OPTIONS]`, instead of any volume at TARGET; may be repeated")
	f.StringArrayVar(&o.noVolumes, "no-volume", nil, "remove the volume with the source or target `PATH`; may be repeated")
	f.StringArrayVar(&o.env, "env", nil, "set `NAME=VALUE` in every session; may be repeated")
	f.StringArrayVar(&o.noEnv, "no-env", nil, "remove the variable `NAME`; may be repeated")
	f.StringArrayVar(&o.share, "share", nil,
		"share this `DIRECTORY[:ro]` of the host with an isolated toolbox, with :ro for reading only; may be repeated")
	f.StringArrayVar(&o.noShare, "no-share", nil, "stop sharing this `DIRECTORY` with an isolated toolbox; may be repeated")
	f.BoolVar(&o.network, "network", false, "give an isolated toolbox a network")
	f.BoolVar(&o.noNetwork, "no-network", false, "give an isolated toolbox no network at all")
	f.StringVar(&o.memory, "memory", "", "limit its memory to `SIZE`, such as 4g; 0: no limit")
	f.StringVar(&o.cpus, "cpus", "", "limit it to the time of `NUMBER` processors, such as 1.5; 0: no limit")
	f.Int64Var(&o.pids, "pids-limit", 0, "limit it to `NUMBER` processes and threads; 0: the default")
	f.StringVar(&o.shm, "shm-size", "", "`SIZE` of an isolated toolbox's /dev/shm")
	for _, i := range integration.All() {
		o.off[i.Key] = f.Bool("no-"+i.Key, false, "do not share "+i.What)
		if i.Key == integration.Home {
			continue // --home names one
		}
		o.on[i.Key] = f.Bool(i.Key, false, "share "+i.What)
	}
	for _, dir := range []string{"home", "share", "volume", "no-share", "no-volume"} {
		cmd.RegisterFlagCompletionFunc(dir, cli.Directories)
	}
	cli.NoCompletion(cmd, "hostname", "env", "no-env", "memory", "cpus", "pids-limit", "shm-size")
}

// change returns the change that the flags ask for.
func (o *editFlags) change(cmd *cobra.Command) (toolbox.Change, error) {
	c := toolbox.Change{
		Volumes: o.volumes, NoVolumes: o.noVolumes, Env: o.env, NoEnv: o.noEnv, Share: o.share, NoShare: o.noShare,
	}
	asked := cmd.Flags().Changed
	given := func(flag string, value *string, to **string) {
		if asked(flag) {
			*to = value
		}
	}
	given("home", &o.home, &c.Home)
	given("hostname", &o.hostname, &c.Hostname)
	given("memory", &o.memory, &c.Memory)
	given("cpus", &o.cpus, &c.CPUs)
	given("shm-size", &o.shm, &c.ShmSize)
	if asked("pids-limit") {
		c.Pids = &o.pids
	}
	if asked("home") && *o.off[integration.Home] {
		return c, excludes("home")
	}
	if o.noHostname {
		none := ""
		if asked("hostname") {
			return c, excludes("hostname")
		}
		c.Hostname = &none
	}
	if o.network || o.noNetwork {
		if o.network && o.noNetwork {
			return c, excludes("network")
		}
		c.Network = &o.network
	}
	for _, i := range integration.All() {
		on, off := o.on[i.Key] != nil && *o.on[i.Key], *o.off[i.Key]
		switch {
		case on && off:
			return c, excludes(i.Key)
		case on:
			c.On = append(c.On, i.Key)
		case off:
			c.Off = append(c.Off, i.Key)
		}
	}
	return c, nil
}

func excludes(flag string) error {
	return fail.New(fail.Usage, "--%s and --no-%s exclude each other", flag, flag)
}
