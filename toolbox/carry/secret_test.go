package carry

import "testing"

// E116: what gives a password away is known by what others read it by, and nothing else is.
func TestE116_Secrets(t *testing.T) {
	for text, secret := range map[string]bool{
		"machine h login me password x": true, "machine h\nlogin me\npassword x\n": true, "[r]\nusername=me\npassword = x\n": true,
		"deb https://me:pw@h/ s m": true, "//r/:_authToken=x": true, "-----BEGIN RSA PRIVATE KEY-----": true,
		"password  [success=1 default=ignore]  pam_unix.so obscure": false, "password requisite pam_deny.so": false,
		"password=": false, "proxy_password=x": true, "#PasswordAuthentication yes": false, "-----BEGIN CERTIFICATE-----": false, "a://b c:d@e": false,
		"https://[::1]:80/@x": false, "": false,
	} {
		if why := secretIn([]byte(text)); (why != "") != secret {
			t.Errorf("%q: %q", text, why)
		}
	}
}
