package fleet

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/tbx-project/tbx/internal/fail"
)

// application is tbx's own, for ids that are made from the machine's: nobody learns that
// one, machine-id(5).
const application = "5e1f0a9c3d7b4c3e9b0f1d6a8c2e7f44"

// hostID is what the fleet knows this host by: the one of the settings, else one that is
// made from /etc/machine-id as sd_id128_get_machine_app_specific(3) does it.
func hostID(own, root string) (string, error) {
	if own != "" {
		return own, nil
	}
	path := filepath.Join(root, "etc/machine-id")
	data, err := os.ReadFile(path)
	var key, app []byte
	if err == nil {
		key, err = hex.DecodeString(strings.TrimSpace(string(data)))
	}
	if err == nil && len(key) != 16 { // empty, or "uninitialized": a first boot, or an image
		err = errors.New("it has no id")
	}
	if err == nil {
		app, err = hex.DecodeString(application)
	}
	if err != nil {
		return "", fail.Wrap(fail.Unable, err, "%s, by which a fleet knows this host", path).
			Hint("make one: sudo systemd-machine-id-setup; or set id in [fleet] of /etc/tbx/host.toml")
	}
	h := hmac.New(sha256.New, key)
	h.Write(app)
	id := h.Sum(nil)[:16]
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return hex.EncodeToString(id), nil
}

// share spreads ids evenly from 0 to 1.
func share(id string) float64 {
	sum := sha256.Sum256([]byte("roll-out " + id))
	return float64(binary.BigEndian.Uint64(sum[:8])) / math.MaxUint64
}
