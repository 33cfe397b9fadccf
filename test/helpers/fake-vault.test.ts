import { vaultConformance } from '../shared/vault/conformance.ts';
import { FakeVault } from './fake-vault.ts';

vaultConformance('the fake', async () => {
  const vault = new FakeVault();
  return {
    keeper: vault,
    transit: vault,
    peppers: vault,
    privateKeys: vault,
    mover: vault,
    destroyer: vault,
    inventory: vault,
    async goAway() {
      vault.failure = 'VAULT_UNAVAILABLE';
    },
  };
});
