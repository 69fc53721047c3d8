package s3

import (
	"context"
	"errors"
	"fmt"

	"github.com/minio/minio-go/v7"

	"github.com/clickagg/clickagg/internal/blob"
	"github.com/clickagg/clickagg/internal/secure"
)

// failed makes an error of what the storage said: what was asked, of whom, the
// answer, and what to do.
func (s *Store) failed(ctx context.Context, verb, name string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s blob %s: %w", verb, name, ctx.Err())
	}
	what := verb + " blob " + name
	if name == "" {
		what = verb + " blobs"
	}
	said := minio.ToErrorResponse(err)
	if said.Code != "" {
		err = fmt.Errorf("%s: %w", said.Code, err)
	}
	if cure := s.cure(said, err); cure != "" {
		err = fmt.Errorf("%w: %s", err, cure)
	}
	return fmt.Errorf("%s: %w: bucket %s at %s: %w", what, blob.ErrUnavailable, s.bucket, s.endpoint, err)
}

// cure is what to do about an answer, or nothing if that is to wait.
func (s *Store) cure(said minio.ErrorResponse, err error) string {
	switch said.Code {
	case "NoSuchBucket":
		return "make the bucket, or name another one in " + s.section + ".url"
	case "AccessDenied", "AllAccessDisabled", "AccountProblem":
		return fmt.Sprintf("allow these keys s3:ListBucket on %s, and s3:GetObject, s3:PutObject and s3:DeleteObject on %s/%s*", s.bucket, s.bucket, s.prefix)
	case "InvalidAccessKeyId", "XAdminUserNotFound":
		return s.section + ".s3.access_key is not known there"
	case "SignatureDoesNotMatch":
		return s.section + ".s3.secret_key does not belong to the access key, or a proxy changes requests"
	case "RequestTimeTooSkewed", "RequestExpired":
		return "this machine's clock and the storage's differ by more than the storage takes: put them right (NTP)"
	case "ExpiredToken", "ExpiredTokenException", "InvalidToken":
		return "the temporary keys have expired: renew them"
	case "AuthorizationHeaderMalformed", "InvalidRegion", "PermanentRedirect", "IllegalLocationConstraintException":
		if said.Region != "" {
			return "the bucket is in region " + said.Region + ": set " + s.section + ".s3.region"
		}
		return "the bucket is not in region " + s.region + ": set " + s.section + ".s3.region"
	}
	if refusal := secure.Refusal(err); refusal != "" {
		return refusal + " (" + s.section + ".s3)"
	}
	if said.Code == "" && !errors.Is(err, errBroken) && !errors.As(err, new(*noKeyError)) {
		return "is " + s.section + ".s3.endpoint right, and the storage running?"
	}
	return ""
}
