package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"
	"strings"

	"github.com/tbx-project/tbx/hostbridge"
	"github.com/tbx-project/tbx/toolbox"
)

// The facts about this user that hostbridge needs and cannot know itself.

// BridgeDir is the bridge's directory. There is one agent for each set of the user's
// directories, because these hold its policy, its log and the programs that it starts.
func BridgeDir(h *toolbox.Host) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{h.Dirs.Config, h.Dirs.Data, h.Dirs.State}, "\x00")))
	return filepath.Join(h.TbxRuntime(), "bridge-"+hex.EncodeToString(sum[:4]))
}

// BridgeID shortens the bridge's id of a toolbox, see join.Record, because a socket's
// path has at most 107 bytes.
func BridgeID(key string) string { return key[:min(12, len(key))] }

// AuditFile is the log of the requests of toolboxes to the host.
func AuditFile(h *toolbox.Host) string { return filepath.Join(h.Dirs.State, "host-audit.jsonl") }

// PolicyDirs are the directories with the rules for the requests of toolboxes.
func PolicyDirs(h *toolbox.Host) hostbridge.PolicyDirs {
	return hostbridge.PolicyDirs{Admin: "/etc/tbx/host-policy.d", User: filepath.Join(h.Dirs.Config, "host-policy.d")}
}

// AgentServe are the arguments that make tbx the agent.
var AgentServe = []string{"agent", "--serve"}
