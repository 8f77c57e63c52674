package integration

// Groups is the key of the user's supplementary groups. A plan asks podman to keep them.
const Groups = "groups"

var groups = Integration{
	Key: Groups, What: "the user's supplementary groups",
	How: "kept, so that devices of `video`, `render`, `kvm` or `dialout` open; their names inside are not the host's; for " +
		"sessions that podman opens only with the runtime crun",
}
