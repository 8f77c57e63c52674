package hostbridge_test

import (
	"testing"

	"github.com/tbx-project/tbx/hostbridge/bridgetest"
)

func TestMain(m *testing.M) { bridgetest.Main(m) }

func TestSuite(t *testing.T) {
	t.Parallel()
	bridgetest.Run(t, func(t *testing.T) *bridgetest.Bridge {
		t.Parallel()
		return bridgetest.Local(t, nil)
	})
}
