// libsrtp's ciphers and HMAC on OpenSSL. Debian builds libsrtp 2 on NSS, where each operation looks its session up in hash
// chains that grow with the number of streams in the process: the more listeners, the dearer every packet. libsrtp
// lets an implementation be replaced, and puts the new one through its own and the former's test vectors first.
#pragma once
#define OPENSSL_SUPPRESS_DEPRECATED // SHA1_Update: the EVP way costs an allocation a packet.
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <srtp2/auth.h>
#include <srtp2/cipher.h>
#include <srtp2/srtp.h>
#include <cstring>
#include <initializer_list>
#include <new>

// The implementations that libsrtp comes with: their test vectors serve ours. Exported, but in no installed header.
extern "C"
{
	extern const srtp_cipher_type_t srtp_aes_icm_128, srtp_aes_icm_256, srtp_aes_gcm_128, srtp_aes_gcm_256;
	extern const srtp_auth_type_t srtp_hmac;
}

namespace srtp_openssl
{
	constexpr int IcmSaltBytes{ 14 };
	constexpr int GcmSaltBytes{ 12 };
	constexpr int BlockBytes{ 16 };

	/** Allocates a libsrtp object with its state behind it. */
	template<typename Object, typename State>
	srtp_err_status_t Allocate(Object** object, State** state)
	{
		*object = new (std::nothrow) Object{};
		*state  = new (std::nothrow) State{};
		if (!*object || !*state)
		{
			delete *object;
			delete *state;
			return srtp_err_status_alloc_fail;
		}
		(*object)->state = *state;
		return srtp_err_status_ok;
	}

	struct Cipher
	{
		EVP_CIPHER_CTX* ctx{ EVP_CIPHER_CTX_new() };
		const EVP_CIPHER* algorithm{ nullptr };
		int keyBytes{ 0 };
		int tagBytes{ 0 };
		bool encrypts{ true };
		uint8_t salt[BlockBytes]{};

		~Cipher()
		{
			EVP_CIPHER_CTX_free(ctx);
			OPENSSL_cleanse(salt, sizeof(salt));
		}
	};

	inline srtp_err_status_t DeallocateCipher(srtp_cipher_pointer_t cipher)
	{
		delete static_cast<Cipher*>(cipher->state);
		delete cipher;
		return srtp_err_status_ok;
	}

	// AES in integer counter mode (RFC 3711 section 4.1.1).

	template<const srtp_cipher_type_t& Type, int KeyBytes>
	srtp_err_status_t AllocateIcm(srtp_cipher_pointer_t* cipher, int keyLen, int)
	{
		if (keyLen != KeyBytes + IcmSaltBytes)
		{
			return srtp_err_status_bad_param;
		}
		Cipher* state{ nullptr };
		const auto err = Allocate(cipher, &state);
		if (err)
		{
			return err;
		}
		(*cipher)->type      = &Type;
		(*cipher)->algorithm = Type.id;
		(*cipher)->key_len   = keyLen;
		state->keyBytes      = KeyBytes;
		state->algorithm     = KeyBytes == 16 ? EVP_aes_128_ctr() : EVP_aes_256_ctr();
		return srtp_err_status_ok;
	}

	inline srtp_err_status_t InitIcm(void* state, const uint8_t* key)
	{
		auto* c = static_cast<Cipher*>(state);
		std::memcpy(c->salt, key + c->keyBytes, IcmSaltBytes);
		c->salt[14] = c->salt[15] = 0;
		return EVP_EncryptInit_ex(c->ctx, c->algorithm, nullptr, key, nullptr) == 1 ? srtp_err_status_ok : srtp_err_status_fail;
	}

	inline srtp_err_status_t SetIcmIv(void* state, uint8_t* iv, srtp_cipher_direction_t)
	{
		auto* c = static_cast<Cipher*>(state);
		uint8_t counter[BlockBytes];
		for (int i{ 0 }; i < BlockBytes; ++i)
		{
			counter[i] = c->salt[i] ^ iv[i];
		}
		return EVP_EncryptInit_ex(c->ctx, nullptr, nullptr, nullptr, counter) == 1 ? srtp_err_status_ok : srtp_err_status_cipher_fail;
	}

	/** The key stream is added: the same both ways. */
	inline srtp_err_status_t RunIcm(void* state, uint8_t* buffer, unsigned int* len)
	{
		int out{ 0 };
		if (EVP_EncryptUpdate(static_cast<Cipher*>(state)->ctx, buffer, &out, buffer, static_cast<int>(*len)) != 1)
		{
			return srtp_err_status_cipher_fail;
		}
		*len = static_cast<unsigned int>(out);
		return srtp_err_status_ok;
	}

	// AES in Galois/counter mode (RFC 7714).

	template<const srtp_cipher_type_t& Type, int KeyBytes>
	srtp_err_status_t AllocateGcm(srtp_cipher_pointer_t* cipher, int keyLen, int tagLen)
	{
		if (keyLen != KeyBytes + GcmSaltBytes || (tagLen != 8 && tagLen != 16))
		{
			return srtp_err_status_bad_param;
		}
		Cipher* state{ nullptr };
		const auto err = Allocate(cipher, &state);
		if (err)
		{
			return err;
		}
		(*cipher)->type      = &Type;
		(*cipher)->algorithm = Type.id;
		(*cipher)->key_len   = keyLen;
		state->tagBytes      = tagLen;
		state->algorithm     = KeyBytes == 16 ? EVP_aes_128_gcm() : EVP_aes_256_gcm();
		return srtp_err_status_ok;
	}

	inline srtp_err_status_t InitGcm(void* state, const uint8_t* key)
	{
		auto* c = static_cast<Cipher*>(state);
		return EVP_CipherInit_ex(c->ctx, c->algorithm, nullptr, key, nullptr, 1) == 1 ? srtp_err_status_ok : srtp_err_status_init_fail;
	}

	inline srtp_err_status_t SetGcmIv(void* state, uint8_t* iv, srtp_cipher_direction_t direction)
	{
		auto* c     = static_cast<Cipher*>(state);
		c->encrypts = direction != srtp_direction_decrypt;
		return EVP_CipherInit_ex(c->ctx, nullptr, nullptr, nullptr, iv, c->encrypts ? 1 : 0) == 1 ? srtp_err_status_ok : srtp_err_status_init_fail;
	}

	inline srtp_err_status_t SetGcmAad(void* state, const uint8_t* aad, uint32_t len)
	{
		int out{ 0 };
		return EVP_CipherUpdate(static_cast<Cipher*>(state)->ctx, nullptr, &out, aad, static_cast<int>(len)) == 1 ? srtp_err_status_ok
		                                                                                                         : srtp_err_status_algo_fail;
	}

	inline srtp_err_status_t EncryptGcm(void* state, uint8_t* buffer, unsigned int* len)
	{
		auto* c = static_cast<Cipher*>(state);
		int out{ 0 };
		if (!c->encrypts)
		{
			return srtp_err_status_bad_param;
		}
		return EVP_CipherUpdate(c->ctx, buffer, &out, buffer, static_cast<int>(*len)) == 1 ? srtp_err_status_ok : srtp_err_status_cipher_fail;
	}

	inline srtp_err_status_t GetGcmTag(void* state, uint8_t* tag, uint32_t* len)
	{
		auto* c = static_cast<Cipher*>(state);
		int out{ 0 };
		uint8_t none[BlockBytes];
		if (EVP_CipherFinal_ex(c->ctx, none, &out) != 1 || EVP_CIPHER_CTX_ctrl(c->ctx, EVP_CTRL_GCM_GET_TAG, c->tagBytes, tag) != 1)
		{
			return srtp_err_status_algo_fail;
		}
		*len = static_cast<uint32_t>(c->tagBytes);
		return srtp_err_status_ok;
	}

	inline srtp_err_status_t DecryptGcm(void* state, uint8_t* buffer, unsigned int* len)
	{
		auto* c = static_cast<Cipher*>(state);
		int out{ 0 };
		uint8_t none[BlockBytes];
		if (c->encrypts || *len < static_cast<unsigned int>(c->tagBytes))
		{
			return srtp_err_status_bad_param;
		}
		const int textBytes = static_cast<int>(*len) - c->tagBytes;
		if (
		  EVP_CIPHER_CTX_ctrl(c->ctx, EVP_CTRL_GCM_SET_TAG, c->tagBytes, buffer + textBytes) != 1 ||
		  EVP_CipherUpdate(c->ctx, buffer, &out, buffer, textBytes) != 1 || EVP_CipherFinal_ex(c->ctx, none, &out) != 1)
		{
			return srtp_err_status_auth_fail;
		}
		*len = static_cast<unsigned int>(textBytes);
		return srtp_err_status_ok;
	}

	// HMAC-SHA1 (RFC 2104), with the states after key and padding kept: two blocks less for each packet.

	constexpr int ShaBlockBytes{ 64 };

	struct Hmac
	{
		SHA_CTX afterInnerKey{};
		SHA_CTX afterOuterKey{};
		SHA_CTX running{};

		~Hmac()
		{
			OPENSSL_cleanse(this, sizeof(*this));
		}
	};

	srtp_err_status_t AllocateHmac(srtp_auth_pointer_t* auth, int keyLen, int outLen);

	inline srtp_err_status_t DeallocateHmac(srtp_auth_pointer_t auth)
	{
		delete static_cast<Hmac*>(auth->state);
		delete auth;
		return srtp_err_status_ok;
	}

	inline srtp_err_status_t InitHmac(void* state, const uint8_t* key, int keyLen)
	{
		auto* h = static_cast<Hmac*>(state);
		uint8_t inner[ShaBlockBytes];
		uint8_t outer[ShaBlockBytes];
		for (int i{ 0 }; i < ShaBlockBytes; ++i)
		{
			const uint8_t byte = i < keyLen ? key[i] : 0;
			inner[i]           = byte ^ 0x36;
			outer[i]           = byte ^ 0x5c;
		}
		const bool done = SHA1_Init(&h->afterInnerKey) == 1 && SHA1_Update(&h->afterInnerKey, inner, sizeof(inner)) == 1 &&
		                  SHA1_Init(&h->afterOuterKey) == 1 && SHA1_Update(&h->afterOuterKey, outer, sizeof(outer)) == 1;
		h->running = h->afterInnerKey;
		OPENSSL_cleanse(inner, sizeof(inner));
		OPENSSL_cleanse(outer, sizeof(outer));
		return done ? srtp_err_status_ok : srtp_err_status_auth_fail;
	}

	inline srtp_err_status_t StartHmac(void* state)
	{
		auto* h    = static_cast<Hmac*>(state);
		h->running = h->afterInnerKey;
		return srtp_err_status_ok;
	}

	inline srtp_err_status_t UpdateHmac(void* state, const uint8_t* buffer, int len)
	{
		return SHA1_Update(&static_cast<Hmac*>(state)->running, buffer, static_cast<size_t>(len)) == 1 ? srtp_err_status_ok
		                                                                                             : srtp_err_status_auth_fail;
	}

	inline srtp_err_status_t ComputeHmac(void* state, const uint8_t* buffer, int len, int tagLen, uint8_t* tag)
	{
		auto* h = static_cast<Hmac*>(state);
		uint8_t digest[SHA_DIGEST_LENGTH];
		if (
		  tagLen > SHA_DIGEST_LENGTH || SHA1_Update(&h->running, buffer, static_cast<size_t>(len)) != 1 ||
		  SHA1_Final(digest, &h->running) != 1)
		{
			return srtp_err_status_auth_fail;
		}
		h->running = h->afterOuterKey;
		if (SHA1_Update(&h->running, digest, sizeof(digest)) != 1 || SHA1_Final(digest, &h->running) != 1)
		{
			return srtp_err_status_auth_fail;
		}
		std::memcpy(tag, digest, static_cast<size_t>(tagLen));
		return srtp_err_status_ok;
	}

	extern const srtp_cipher_type_t Icm128, Icm256, Gcm128, Gcm256;
	extern const srtp_auth_type_t HmacSha1;

	inline const srtp_cipher_type_t Icm128{ AllocateIcm<Icm128, 16>, DeallocateCipher, InitIcm, nullptr, RunIcm, RunIcm, SetIcmIv, nullptr,
		                                    "AES-128 counter mode using OpenSSL", srtp_aes_icm_128.test_data, SRTP_AES_ICM_128 };
	inline const srtp_cipher_type_t Icm256{ AllocateIcm<Icm256, 32>, DeallocateCipher, InitIcm, nullptr, RunIcm, RunIcm, SetIcmIv, nullptr,
		                                    "AES-256 counter mode using OpenSSL", srtp_aes_icm_256.test_data, SRTP_AES_ICM_256 };
	inline const srtp_cipher_type_t Gcm128{ AllocateGcm<Gcm128, 16>, DeallocateCipher, InitGcm, SetGcmAad, EncryptGcm, DecryptGcm, SetGcmIv,
		                                    GetGcmTag, "AES-128 GCM using OpenSSL", srtp_aes_gcm_128.test_data, SRTP_AES_GCM_128 };
	inline const srtp_cipher_type_t Gcm256{ AllocateGcm<Gcm256, 32>, DeallocateCipher, InitGcm, SetGcmAad, EncryptGcm, DecryptGcm, SetGcmIv,
		                                    GetGcmTag, "AES-256 GCM using OpenSSL", srtp_aes_gcm_256.test_data, SRTP_AES_GCM_256 };
	inline const srtp_auth_type_t HmacSha1{ AllocateHmac, DeallocateHmac, InitHmac, ComputeHmac, UpdateHmac, StartHmac,
		                                    "HMAC-SHA1 using OpenSSL", srtp_hmac.test_data, SRTP_HMAC_SHA1 };

	inline srtp_err_status_t AllocateHmac(srtp_auth_pointer_t* auth, int keyLen, int outLen)
	{
		if (keyLen > ShaBlockBytes || outLen > SHA_DIGEST_LENGTH)
		{
			return srtp_err_status_bad_param;
		}
		Hmac* state{ nullptr };
		const auto err = Allocate(auth, &state);
		if (err)
		{
			return err;
		}
		(*auth)->type       = &HmacSha1;
		(*auth)->out_len    = outLen;
		(*auth)->key_len    = keyLen;
		(*auth)->prefix_len = 0;
		return srtp_err_status_ok;
	}

	/** Call it after srtp_init() and before the first session. */
	inline srtp_err_status_t Use()
	{
		for (const auto* type : { &Icm128, &Icm256, &Gcm128, &Gcm256 })
		{
			const auto err = srtp_replace_cipher_type(type, type->id);
			if (err)
			{
				return err;
			}
		}
		return srtp_replace_auth_type(&HmacSha1, HmacSha1.id);
	}
} // namespace srtp_openssl
