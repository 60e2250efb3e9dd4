package nginx

import (
	"fmt"
	"regexp"
	"strconv"
)

// Version is nginx's own, as $nginx_version shows it. The zero value is an old one.
type Version struct {
	text         string
	major, minor int
}

var versionText = regexp.MustCompile(`^(\d{1,3})\.(\d{1,3})\.\d{1,3}$`) //nolint:gochecknoglobals // a constant

// ParseVersion reads a version such as 1.25.3.
func ParseVersion(text string) (v Version, err error) {
	m := versionText.FindStringSubmatch(text)
	if m == nil {
		return v, fmt.Errorf("%q is no version of nginx, such as 1.25.3", text)
	}
	v.text = text
	v.major, _ = strconv.Atoi(m[1]) // digits
	v.minor, _ = strconv.Atoi(m[2])
	return v, nil
}

// String is $nginx_version.
func (v Version) String() string { return v.text }

// joins tells whether $http_NAME has all headers of that name, and not the first
// alone.
func (v Version) joins() bool { return v.major > 1 || v.major == 1 && v.minor >= 23 }
