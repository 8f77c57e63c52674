package variables

import "testing"

func TestActsOnPrograms(t *testing.T) {
	for name, want := range map[string]struct{ loader, programs bool }{
		"LD_PRELOAD": {true, true}, "LD_": {true, true}, "MALLOC_TRACE": {true, true}, "GLIBC_TUNABLES": {true, true},
		"GCONV_PATH": {true, true}, "LOCPATH": {true, true}, "NLSPATH": {true, true},
		"BASH_ENV": {false, true}, "ENV": {false, true}, "BASH_FUNC_ls%%": {false, true}, "GODEBUG": {false, true},
		"PATH": {}, "LANG": {}, "ENVIRONMENT": {}, "BASH": {}, "OLD_PATH": {}, "": {},
	} {
		if ActsOnLoader(name) != want.loader || ActsOnPrograms(name) != want.programs {
			t.Errorf("%s: loader %v, programs %v", name, ActsOnLoader(name), ActsOnPrograms(name))
		}
	}
}
