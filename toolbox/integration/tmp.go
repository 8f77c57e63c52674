package integration

// Tmp is the key of the directory for temporary files.
const Tmp = "tmp"

var tmp = Integration{
	Key: Tmp, What: "/tmp",
	How: "mounted; sockets in it (X11, ssh agents) come with it",
	Mounts: func(*Facts) []Mount {
		return []Mount{bind(Tmp, "/tmp", "/tmp", "files and X11 sockets that programs on both sides exchange")}
	},
}
