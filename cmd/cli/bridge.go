package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"
	"strings"

	"github.com/tbx-project/tbx/hostbridge"
	"github.com/tbx-project/tbx/toolbox"
)

// What hostbridge is told of this user, of which it knows nothing itself.

// BridgeDir is the bridge's directory: an agent for each set of the user's
// directories, where its policy, its log and the programs that it starts are.
func BridgeDir(h *toolbox.Host) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{h.Dirs.Config, h.Dirs.Data, h.Dirs.State}, "\x00")))
	return filepath.Join(h.TbxRuntime(), "bridge-"+hex.EncodeToString(sum[:4]))
}

// BridgeID shortens the id by which the bridge knows a toolbox, see join.Record,
// because a socket's path has 107 bytes.
func BridgeID(key string) string { return key[:min(12, len(key))] }

// AuditFile is the log of what toolboxes asked of the host.
func AuditFile(h *toolbox.Host) string { return filepath.Join(h.Dirs.State, "host-audit.jsonl") }

// PolicyDirs are the directories of the rules for what toolboxes may ask.
func PolicyDirs(h *toolbox.Host) hostbridge.PolicyDirs {
	return hostbridge.PolicyDirs{Admin: "/etc/tbx/host-policy.d", User: filepath.Join(h.Dirs.Config, "host-policy.d")}
}

// AgentServe are the arguments with which tbx is the agent.
var AgentServe = []string{"agent", "--serve"}
