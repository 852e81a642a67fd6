/* SPDX-License-Identifier: Apache-2.0 */
/* Who owns a file, who may what, as descriptors and as text. */
#include "test.h"
#include <aclapi.h>
#include <sddl.h>

static unsigned char user[200];

/* What the file's list gives to everyone. */
static DWORD everyones(const wchar_t *path)
{
	static SID everyone = {1, 1, {{0, 0, 0, 0, 0, 1}}, {0}};
	PSECURITY_DESCRIPTOR d = NULL;
	ACCESS_ALLOWED_ACE *ace;
	PACL acl = NULL;
	DWORD may = 0;
	SAME(GetNamedSecurityInfoW((wchar_t *)path, SE_FILE_OBJECT, DACL_SECURITY_INFORMATION, NULL,
				   NULL, &acl, NULL, &d),
	     0);
	CHECK(acl != NULL);
	for (DWORD i = 0; acl && i < acl->AceCount; i++) {
		if (GetAce(acl, i, (void **)&ace) && EqualSid(&ace->SidStart, &everyone) &&
		    !(ace->Header.AceFlags & INHERIT_ONLY_ACE))
			may |= ace->Mask;
	}
	CHECK(acl && !GetAce(acl, acl->AceCount, (void **)&ace));
	LocalFree(d);
	return may;
}

static void set(const wchar_t *path, const wchar_t *text)
{
	PSECURITY_DESCRIPTOR d = NULL;
	ULONG n = 0;
	CHECK(ConvertStringSecurityDescriptorToSecurityDescriptorW(text, 1, &d, &n));
	CHECK(n > 20);
	CHECK(d && SetFileSecurityW(path, DACL_SECURITY_INFORMATION, d));
	LocalFree(d);
}

static void of_file(const wchar_t *path)
{
	PSECURITY_DESCRIPTOR d = NULL;
	PSID owner = NULL;
	HANDLE f = CreateFileW(path, GENERIC_READ | READ_CONTROL, 0, NULL, CREATE_ALWAYS, 0, NULL);
	SAME(GetSecurityInfo(f, SE_FILE_OBJECT, OWNER_SECURITY_INFORMATION, &owner, NULL, NULL,
			     NULL, &d),
	     0);
	CHECK(owner && EqualSid(owner, ((TOKEN_USER *)user)->User.Sid));
	LocalFree(d);
	CloseHandle(f);
	SAME(GetNamedSecurityInfoW((wchar_t *)path, SE_FILE_OBJECT, OWNER_SECURITY_INFORMATION,
				   &owner, NULL, NULL, NULL, &d),
	     0);
	CHECK(owner && EqualSid(owner, ((TOKEN_USER *)user)->User.Sid));
	LocalFree(d);
	set(path, L"D:P(A;;FA;;;OW)(A;;FR;;;WD)");
	SAME(everyones(path) & 3, 1);
	set(path, L"D:(A;OICI;FA;;;WD)");
	SAME(everyones(path) & 3, 3);
	set(path, L"D:P(A;;0x1f01ff;;;BA)(A;;GA;;;OW)");
	SAME(everyones(path), 0);
}

static void needs(const wchar_t *path)
{
	unsigned char room[1000];
	DWORD n = 0;
	FAILS(GetFileSecurityW(path, OWNER_SECURITY_INFORMATION, NULL, 0, &n),
	      ERROR_INSUFFICIENT_BUFFER);
	CHECK(n > 20);
	CHECK(GetFileSecurityW(path, OWNER_SECURITY_INFORMATION, room, n, &n));
	CHECK(EqualSid(room + *(DWORD *)(room + 4), ((TOKEN_USER *)user)->User.Sid));
	SAME(GetNamedSecurityInfoW(L"none.txt", SE_FILE_OBJECT, OWNER_SECURITY_INFORMATION, NULL,
				   NULL, NULL, NULL, (void **)&room),
	     ERROR_FILE_NOT_FOUND);
}

static void text_wrong(void)
{
	static const wchar_t *const all[] = {L"D:(A;;FA;;;", L"D:(A;;QQ;;;WD)", L"D:(A;ZZ;FA;;;WD)",
					     L"X:WD", L"O:S-2-1"};
	PSECURITY_DESCRIPTOR d = NULL;
	for (unsigned i = 0; i < COUNT(all); i++)
		IS(narrow(all[i]),
		   ConvertStringSecurityDescriptorToSecurityDescriptorW(all[i], 1, &d, NULL), 0);
}

int main(void)
{
	HANDLE token;
	DWORD n;
	CHECK(OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token));
	CHECK(GetTokenInformation(token, TokenUser, user, sizeof user, &n));
	of_file(L"owned.txt");
	needs(L"owned.txt");
	text_wrong();
	CHECK(DeleteFileW(L"owned.txt"));
	return end();
}
