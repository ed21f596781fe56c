/** Certificates that a Service names, as they come over the wire: read strictly, as nothing may be put in for what is missing. */

import type { CallerTls, Certificate } from '../model/credential.ts';
import { MeshError } from '../base/error.ts';
import { asFields, countField, listField, textField } from './fields.ts';

/** @throws MeshError `invalid_input` */
export function readCallerTls(value: unknown): CallerTls | null {
  if (value === undefined || value === null) return null;
  const certificates = listField(asFields(value, 'callerTls'), 'certificates').map(readCertificate);
  if (certificates.length === 0) throw new MeshError('invalid_input', '"certificates" is empty');
  return { certificates };
}

/** @throws MeshError `invalid_input` */
export function readClient(value: unknown): Certificate | null {
  return value === undefined || value === null ? null : readCertificate(value);
}

function readCertificate(value: unknown): Certificate {
  const fields = asFields(value, 'certificate');
  return {
    secret: textField(fields, 'secret'),
    digest: textField(fields, 'digest'),
    names: listField(fields, 'names').map(String),
    notBeforeMs: countField(fields, 'notBeforeMs'),
    notAfterMs: countField(fields, 'notAfterMs'),
  };
}
