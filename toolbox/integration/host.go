package integration

import "github.com/tbx-project/tbx/toolbox/boxinit"

// HostView is the key of the host's files. Integrations with NeedsHostView work by it.
const HostView = "host"

var hostView = Integration{
	Key: HostView, What: "the host's files at /run/host and what is linked from there",
	How:  "a copy of the mounts of the host's root, attached at every start; where this host does not allow that, a mount by podman",
	View: func(*Facts) []Mount { return []Mount{bind(HostView, "/", boxinit.HostView, "the host's files")} },
}
