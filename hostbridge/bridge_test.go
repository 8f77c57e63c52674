package hostbridge_test

import (
	"testing"

	"github.com/tbx-project/tbx/hostbridge/bridgetest"
)

func TestMain(m *testing.M) { bridgetest.Main(m) }

func TestSuite(t *testing.T) {
	bridgetest.Run(t, func(t testing.TB) *bridgetest.Bridge { return bridgetest.Local(t, nil) })
}
