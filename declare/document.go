package declare

// The types below are the file as it is written. The tag doc is what the schema and
// docs/apply.md say of a key; the keys of settings are those of a toolbox's specification.

// document is a whole file.
type document struct {
	Enter   string            `toml:"enter" doc:"the toolbox that tbx enter means in this project, where there are several"`
	Vars    map[string]string `toml:"vars" doc:"variables, used as ${NAME} in values"`
	Toolbox map[string]*entry `toml:"toolbox" doc:"the toolboxes, by their names"`
}

// entry is one toolbox.
type entry struct {
	Extends  string `toml:"extends" doc:"another toolbox of this file whose values it begins with"`
	Template bool   `toml:"template" doc:"only there to be extended: no toolbox is made of it"`

	Image         string `toml:"image" doc:"the image that it is made from, as --image"`
	Distro        string `toml:"distro" doc:"a distribution instead of an image, as --distro"`
	Release       string `toml:"release" doc:"its release, as --release"`
	Containerfile string `toml:"containerfile" doc:"a Containerfile to build instead of an image, relative to this file"`

	settings

	Packages    []string            `toml:"packages" doc:"packages that its package manager installs"`
	PackagesFor map[string][]string `toml:"packages_for" doc:"further packages, by the package manager that has them under these names"`
	Files       map[string]*file    `toml:"files" doc:"files of root's, by their paths in the toolbox"`
	Setup       []string            `toml:"setup" doc:"commands of sh that root runs once, in /"`
	SetupUser   []string            `toml:"setup_user" doc:"commands of sh that you run once, in the directory of this file"`
	Exports     any                 `toml:"exports" doc:"not used yet"`
}

// settings are those keys of a specification that can be declared.
type settings struct {
	Hostname string   `toml:"hostname" doc:"a host name of its own; missing: the host's"`
	Home     string   `toml:"home" doc:"directory of the host to be the home; missing: your own"`
	Volumes  []string `toml:"volumes" doc:"SOURCE:TARGET[:OPTIONS]; a source that begins with . is relative to this file"`
	Env      []string `toml:"env" doc:"NAME=VALUE, set in every session"`
	Without  []string `toml:"without" doc:"integrations that are off"`

	Isolated  bool     `toml:"isolated" doc:"make it a boundary"`
	Share     []string `toml:"share" doc:"DIRECTORY[:ro] of the host that an isolated toolbox has; relative to this file if it begins with ."`
	NoNetwork bool     `toml:"no_network" doc:"an isolated toolbox without any network"`
	Memory    string   `toml:"memory" doc:"the most that it may take, such as 4g"`
	CPUs      string   `toml:"cpus" doc:"how many processors' time it may take, such as 1.5"`
	Pids      int64    `toml:"pids_limit" doc:"the most processes and threads"`
	ShmSize   string   `toml:"shm_size" doc:"size of an isolated toolbox's /dev/shm"`
	GPU       bool     `toml:"gpu" doc:"an isolated toolbox has the host's GPUs"`
}

// file is one file to be written in a toolbox.
type file struct {
	Text   *string `toml:"text" doc:"what is in it"`
	Source string  `toml:"source" doc:"a file of the host with what is in it, relative to this file; instead of text"`
	Mode   string  `toml:"mode" doc:"its mode, such as 0755; missing: 0644"`
}
